"""Requests and answers of registration and sign-in."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field, SecretStr

from api.accounts.models import AccountOut
from api.auth.new_passwords import NewPassword
from api.customers.models import CustomerOut
from api.http.fields import Currency, Email, In, NormalForm, Text
from api.onboarding.models import IdentityDocumentIn


class RegisterIn(In):
    email: Email
    password: NewPassword
    full_name: Annotated[str, Text, Field(max_length=200, examples=["Ada Obi"])]
    currency: Currency | None = Field(
        None, description="Of the first account; the default of GET /v1/currencies, where it is not given"
    )
    identity_document: IdentityDocumentIn


class LoginIn(In):
    email: Annotated[str, Field(max_length=254, examples=["ada@example.com"])]
    password: Annotated[SecretStr, Field(max_length=128, examples=["correct horse battery"]), NormalForm]


class EmailCodeIn(In):
    code: Annotated[str, Field(max_length=1_000, description="From the mail to your address")]


class TokenOut(BaseModel):
    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - the kind of token
    expires_in: int = Field(description="Seconds", examples=[900])


class RegisteredOut(TokenOut):
    customer: CustomerOut
    account: AccountOut
