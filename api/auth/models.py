"""Requests and answers of registration and sign-in."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field, SecretStr

from api.accounts.models import AccountOut
from api.auth.new_passwords import NewPassword
from api.auth.tokens import TokenPair
from api.customers.models import CustomerOut
from api.http.fields import Currency, Email, In, NormalForm, Text
from api.onboarding.models import IdentityDocumentIn
from api.ownership.owned import Owned, OwnedPage
from customers.sessions.session import Session
from ledger.ids import SessionId


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
    second_factor: Annotated[
        SecretStr | None, Field(max_length=64, description="A code of the app, or a recovery code, where one is set")
    ] = None


class EmailCodeIn(In):
    code: Annotated[str, Field(max_length=1_000, description="From the mail to your address")]


class RefreshIn(In):
    refresh_token: Annotated[SecretStr, Field(max_length=2_000, description="From the last answer that held one")]


class NewPasswordIn(In):
    current_password: Annotated[SecretStr, Field(max_length=128, examples=["correct horse battery"]), NormalForm]
    new_password: NewPassword


class PasswordResetIn(In):
    email: Email


class PasswordCodeIn(In):
    reset_code: Annotated[SecretStr, Field(max_length=2_000, description="From the mail to your address")]
    new_password: NewPassword


class TokenOut(BaseModel):
    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - the kind of token
    expires_in: int = Field(description="Seconds until the access token expires", examples=[900])
    refresh_token: str = Field(description="For `POST /v1/auth/refresh`, once")
    refresh_expires_in: int = Field(description="Seconds until the session ends, however often", examples=[259_200])

    @classmethod
    def of(cls, issued: TokenPair) -> "TokenOut":
        return cls.model_validate(issued, from_attributes=True)


class SessionOut(Owned):
    """A sign-in that has not ended: where, with what, since when, and whether it is the one that asks."""

    not_found = "session_not_found"

    id: SessionId
    current: bool
    client: str = Field(description="The address that signed in", examples=["192.0.2.7"])
    user_agent: str | None = Field(examples=["Mozilla/5.0"])
    second_factor: bool = Field(description="Whether a second factor was shown")
    started_at: datetime
    refreshed_at: datetime = Field(description="When it last got tokens")
    expires_at: datetime

    @classmethod
    def of(cls, session: Session, current: SessionId) -> "SessionOut":
        return cls(
            id=session.id,
            current=session.id == current,
            client=session.client,
            user_agent=session.user_agent,
            second_factor=session.second_factor,
            started_at=session.started_at,
            refreshed_at=session.refreshed_at,
            expires_at=session.expires_at,
        ).owned_by(session.customer_id)


class SessionsOut(OwnedPage):
    """A page of sessions, newest first."""

    items: list[SessionOut]
    next_cursor: str | None


class RegisteredOut(TokenOut):
    customer: CustomerOut
    account: AccountOut
