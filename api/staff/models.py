"""What staff's routes share. Every request that changes something names its reason, for the record."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import Response
from pydantic import BaseModel, Field

from api.http.fields import In, ListFilters, Text
from api.http.problems import ProblemCode
from api.staff.interventions import ActionAnswer
from ledger.ids import ActionId, CustomerId
from staff.actions import Outcome
from staff.permissions import Action, Channel, Role

Reason = Annotated[
    str, Text, Field(max_length=500, description="Why, for the record", examples=["Card reported stolen, ticket 4711"])
]


class ReasonIn(In):
    """Why this is done. It is recorded with who did it, and with what was before and after."""

    reason: Reason


class ActionFilters(ListFilters):
    """All filters of a request apply together."""

    actor: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,40}$")] | None = None
    subject: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,40}$")] | None = None


class ActionOut(BaseModel):
    """What one of the staff did or requested, by the API or in Temporal.

    `before` and `after` hold what the action changes of its subject, `asked` what exactly was requested. What a
    workflow has to carry out is recorded first, as `unknown`; `outcome`, `code`, `answer` and `after` say how it ended.
    While it is unknown nobody knows whether it was taken; the same request again finds out.
    """

    id: ActionId
    actor_id: CustomerId = Field(description="Who did it; in Temporal, the id of whom they said they are")
    actor_role: Role
    action: Action
    channel: Channel
    subject: str
    reason: str
    asked: dict[str, Any] | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    recorded_at: datetime
    outcome: Outcome
    code: ProblemCode | None = Field(description="Why it was refused", examples=["too_late_to_cancel"])
    answer: str | None
    concluded_at: datetime | None


class ActionsOut(BaseModel):
    items: list[ActionOut]
    next_cursor: str | None


class AnsweredOut(BaseModel):
    answer: str = Field(examples=["The step is tried again."])


def answered(given: ActionAnswer, response: Response) -> AnsweredOut:
    """The answer to an action, and whether an earlier request was answered the same."""
    if given.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return AnsweredOut(answer=given.answer)
