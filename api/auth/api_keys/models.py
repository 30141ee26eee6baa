"""API keys as requests and answers."""

from datetime import datetime
from typing import Annotated

from pydantic import Field, SecretStr

from api.http.fields import In, NormalForm, Text
from api.ownership.owned import Owned, OwnedPage
from customers.api_keys.api_key import ApiKey, Scope
from ledger.ids import ApiKeyId


class ApiKeyIn(In):
    """The password again: whoever has an access token, which soon expires, makes no key, which never does."""

    name: Annotated[str, Text, Field(max_length=100, description="For your list", examples=["Shop on the corner"])]
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=20, examples=[["transfers:read"]])]
    password: Annotated[SecretStr, Field(max_length=128, examples=["correct horse battery"]), NormalForm]
    second_factor: Annotated[
        SecretStr | None, Field(max_length=64, description="A code of the app, or a recovery code, where one is set")
    ] = None


class ApiKeyOut(Owned):
    """A key without its secret."""

    not_found = "api_key_not_found"

    id: ApiKeyId
    name: str
    scopes: list[Scope]
    created_at: datetime
    last_used_at: datetime | None = Field(description="Exact to a minute")
    revoked_at: datetime | None

    @classmethod
    def of(cls, key: ApiKey) -> "ApiKeyOut":
        return cls.model_validate(key, from_attributes=True).owned_by(key.customer_id)


class ApiKeyCreatedOut(ApiKeyOut):
    key: str = Field(description="Shown now and never again: send it as `Authorization: Bearer`")


class ApiKeysOut(OwnedPage):
    """A page of keys, newest first."""

    items: list[ApiKeyOut]
    next_cursor: str | None
