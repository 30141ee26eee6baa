"""Dead letters as answers. They are for staff only."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, Field

from api.http.fields import In, Text
from api.staff.models import Reason
from events.dead_letter import DeadLetter, LetterState
from ledger.ids import CustomerId, DeadLetterId
from staff.dead_letters.postgres import ReplayOutcome

LetterSource = Annotated[
    str,
    Text,
    Field(
        max_length=300,
        description="Who gave up: `webhooks`, a sink by its name, or `queue:` and the queue of a consumer",
        examples=["rabbitmq"],
    ),
]
LetterTarget = Annotated[
    str,
    Text,
    Field(
        max_length=300,
        description="Where it did not arrive, if the source has several places: an endpoint's id",
        examples=["whe_fcunsiksm3ppucbrdqutxaufvi"],
    ),
]


class DeadLetterSummaryOut(BaseModel):
    """An event that a receiver did not take, without its body."""

    id: DeadLetterId
    source: LetterSource
    target: LetterTarget | None
    event_id: str | None = Field(description="None: it was no event", examples=["evt_019ab0d2c7f87a3c9e5f5d1c2b3a4958"])
    type: str | None = Field(examples=["transfer.completed"])
    reason: str = Field(examples=["no queue of wallet.events takes transfer.completed"])
    attempts: int = Field(examples=[1])
    state: LetterState
    died_at: datetime
    ended_by: CustomerId | None = Field(description="Who replayed or discarded it")
    ended_reason: str | None = Field(examples=["The queue is bound again, ticket 4711"])
    ended_at: datetime | None

    @classmethod
    def summary_of(cls, letter: DeadLetter) -> "DeadLetterSummaryOut":
        return cls.model_validate(letter, from_attributes=True)


class DeadLetterOut(DeadLetterSummaryOut):
    """The same with the body, as it would have arrived. What was no JSON is there as `{"base64": …}`."""

    body: dict[str, Any] = Field(examples=[{"specversion": "1.0", "id": "evt_019ab0d2c7f87a3c9e5f5d1c2b3a4958"}])

    @classmethod
    def of(cls, letter: DeadLetter) -> "DeadLetterOut":
        return cls.model_validate(letter, from_attributes=True)


class DeadLettersOut(BaseModel):
    """A page of dead letters, newest first."""

    items: list[DeadLetterSummaryOut]
    next_cursor: str | None


class ReplayIn(In):
    """Which dead letters go again to where each died. All that is left out fits."""

    reason: Reason
    source: LetterSource | None = None
    target: LetterTarget | None = None
    type: Annotated[str, Text, Field(max_length=100, examples=["transfer.completed"])] | None = None
    since: AwareDatetime | None = Field(None, description="Only what died at this time or later")


class ReplayOut(BaseModel):
    """What was replayed, newest first."""

    items: list[DeadLetterSummaryOut]
    has_more: bool = Field(description="More letters fit: send the same again, under another key", examples=[False])

    @classmethod
    def of(cls, outcome: ReplayOutcome) -> "ReplayOut":
        return cls(
            items=[DeadLetterSummaryOut.summary_of(letter) for letter in outcome.letters], has_more=outcome.has_more
        )
