"""GraphQL over HTTP as requests and answers (the GraphQL-over-HTTP draft)."""

import json
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from api.http.fields import In
from api.ownership.owned import Ownerless

MOST_CHARACTERS = 10_000


def _are_text(variables: dict[str, Any] | None) -> dict[str, Any] | None:
    # Half of a character is JSON and no text: an error that shows it could not be sent.
    json.dumps(variables, ensure_ascii=False).encode()
    return variables


class GraphqlIn(In):
    query: str = Field(
        min_length=1, max_length=MOST_CHARACTERS, examples=["{ getNotifications(first: 5) { items { body } unread } }"]
    )
    variables: Annotated[dict[str, Any] | None, AfterValidator(_are_text)] = Field(None, examples=[{}])
    operationName: str | None = Field(None, max_length=100, examples=[None])  # noqa: N815 - GraphQL's own name


class GraphqlOut(Ownerless):
    """Each resolver has checked what its part shows, as the route of the same list does."""

    data: dict[str, Any] | None
    errors: list[dict[str, Any]] | None = Field(None, examples=[None])
