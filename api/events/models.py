"""Events as answers: the same JSON as in every other way out."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from api.http.fields import AccountIdIn, Limit
from api.ownership.owned import Owned, OwnedPage
from events.envelope import envelope_of
from events.event import Event, EventType
from events.views import as_seen_by
from ledger.ids import AccountId, CustomerId


def _known_types(given: str) -> str:
    known = {type_.value for type_ in EventType}
    if unknown := [name for name in given.split(",") if name not in known]:
        raise ValueError(f"{unknown[0]!r} is no type of event")
    return given


After = Annotated[
    str | None,
    Field(
        max_length=40,
        description="A `next_cursor`, or the `sequence` of the last event that you have; the oldest that are kept, "
        "where it is not given",
        examples=["0000000000000001200"],
    ),
]
Types = Annotated[
    str | None,
    AfterValidator(lambda given: given if given is None else _known_types(given)),
    Field(
        max_length=1_000,
        description="Only these types, separated by commas",
        examples=["transfer.completed,transfer.failed"],
    ),
]


class StreamFilters(BaseModel):
    model_config = ConfigDict(extra="forbid")

    after: After = None
    types: Types = None


class EventFilters(StreamFilters):
    limit: Limit = 20


class AnyEventFilters(EventFilters):
    """All filters of a request apply together."""

    subject: Annotated[str, Field(pattern=r"^[a-z]{3}_[a-z0-9]{1,60}$")] | None = Field(
        None, description="The id of what changed"
    )
    account_id: AccountIdIn | None = Field(None, description="What happened to this account, and its entries")


class EventOut(Owned):
    """A CloudEvents 1.0 event: something that happened, as the reader may see it. It never changes.

    The schema of `data` is that of the type, in the JSON Schemas of `remit events schema`.
    """

    not_found = "not_found"

    specversion: str = Field(examples=["1.0"])
    id: str = Field(
        description="The same wherever and however often it is delivered",
        examples=["evt_019ab3c5d7e97f0a8b1c2d3e4f506172"],
        json_schema_extra={"pattern": "^evt_[0-9a-f]{32}$"},
    )
    source: str = Field(examples=["urn:remit"])
    type: EventType = Field(examples=["transfer.completed"])
    subject: str = Field(description="The id of what changed", examples=["trf_iuwbh4hkzdez5j5ag3ea6cau2u"])
    time: datetime
    datacontenttype: str = Field(examples=["application/json"])
    dataschema: str = Field(examples=["urn:remit:schema:transfer.completed:1"])
    sequence: str = Field(
        description="The position among all events: text of 19 digits, in the order of the events. "
        "Customers see a part of the events, and so gaps",
        examples=["0000000000000001201"],
    )
    partitionkey: str = Field(
        description="Events with the same key are in the order of the changes",
        examples=["acc_k5qd4ahyfpuxzmo2c3r7wn6tbe"],
    )
    accountid: AccountId | None = Field(
        None,
        description="The account that changed",
        examples=["acc_k5qd4ahyfpuxzmo2c3r7wn6tbe"],
        exclude_if=lambda value: value is None,
    )
    accountversion: int | None = Field(
        None,
        description="How many entries this account has after the change",
        examples=[1],
        exclude_if=lambda value: value is None,
    )
    timestamp: datetime = Field(description="As `time`")
    data: dict[str, Any] = Field(examples=[{"transfer": {"id": "trf_iuwbh4hkzdez5j5ag3ea6cau2u"}, "entry": None}])

    @classmethod
    def of(cls, event: Event, reader: CustomerId | None) -> "EventOut | None":
        """As `reader` may see it, or staff without one. None: they may not."""
        seen = as_seen_by(event, reader)
        return None if seen is None else cls.model_validate(envelope_of(seen)).owned_by(*event.audience)


class EventsOut(OwnedPage):
    """The oldest of these events first. `next_cursor` is null where no more of them follow for now."""

    items: list[EventOut]
    next_cursor: str | None
