"""What staff's routes share. Every request that changes something names its reason, for the record."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import Response
from pydantic import BaseModel, Field

from api.http.fields import In, Text
from api.staff.interventions import Steered
from ledger.ids import ActionId, CustomerId
from staff.permissions import Action, Channel, Role
from staff.postgres.action_log import Outcome

Reason = Annotated[
    str, Text, Field(max_length=500, description="Why, for the record", examples=["Card reported stolen, ticket 4711"])
]


class ReasonIn(In):
    """Why this is done. It is recorded with who did it, and with what was before and after."""

    reason: Reason


class ActionOut(BaseModel):
    """What somebody of the staff did. `before` and `after` hold what the action changes of its subject.

    What steers a transfer is recorded as `asked` before it is sent, with what came of it afterwards in `outcome`,
    `answer` and `after`. `unknown`: nobody knows whether it was taken; the same request again finds out.
    """

    id: ActionId
    actor_id: CustomerId
    actor_role: Role
    action: Action
    subject: str
    reason: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    recorded_at: datetime
    asked: dict[str, Any] | None
    outcome: Outcome
    answer: str | None
    concluded_at: datetime | None
    channel: Channel


class InterventionOut(BaseModel):
    """What a person did about a transfer, at the API or in Temporal's Web UI or CLI."""

    at: datetime
    channel: Channel
    by: str = Field(description="The id of whoever did it; in Temporal, of whom they said they are")
    action: Action
    reason: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    outcome: Outcome
    action_id: ActionId | None


class ActionsOut(BaseModel):
    items: list[ActionOut]
    next_cursor: str | None


class AnsweredOut(BaseModel):
    answer: str = Field(examples=["The step is tried again."])


def answered(steered: Steered, response: Response) -> AnsweredOut:
    """The answer to an action, and whether an earlier request was answered the same."""
    if steered.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return AnsweredOut(answer=steered.answer)
