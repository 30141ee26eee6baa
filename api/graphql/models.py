"""GraphQL over HTTP as requests and answers (the GraphQL-over-HTTP draft)."""

from typing import Any

from pydantic import Field

from api.http.fields import In
from api.ownership.owned import Ownerless

MOST_CHARACTERS = 10_000


class GraphqlIn(In):
    query: str = Field(
        min_length=1, max_length=MOST_CHARACTERS, examples=["{ getNotifications(first: 5) { items { body } unread } }"]
    )
    variables: dict[str, Any] | None = Field(None, examples=[{}])
    operationName: str | None = Field(None, max_length=100, examples=[None])  # noqa: N815 - GraphQL's own name


class GraphqlOut(Ownerless):
    """Each resolver has checked what its part shows, as the route of the same list does."""

    data: dict[str, Any] | None
    errors: list[dict[str, Any]] | None = Field(None, examples=[None])
