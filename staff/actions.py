"""What staff do and request, and how each of it ended. Pure: no I/O, no clock."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from ledger.ids import ActionId, CustomerId
from ledger.refusals import ActionRefused
from staff.permissions import Action, Channel, Role


class Outcome(StrEnum):
    """How an action ended. `unknown`: it is recorded and may have been sent; nobody knows yet whether it was taken."""

    TAKEN = "taken"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class StaffAction:
    """What one of the staff did or requested, by the API or in Temporal. Its record is never edited.

    An action that commits together with its record is `taken` at once. One that a workflow must carry out is recorded
    first, as `unknown`, and ends as taken or refused. `asked` holds what exactly was requested, `before` and `after`
    what the action changes of its subject. `code` says why it was refused, `answer` is the answer that the actor got.
    """

    id: ActionId
    actor_id: CustomerId
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
    code: str | None
    answer: str | None
    concluded_at: datetime | None


@dataclass(frozen=True, slots=True)
class Taken:
    """The action was carried out, or the workflow that carries it out has accepted it."""

    answer: str
    after: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class NotTaken:
    """The action was refused, and changed nothing. `code` is one of the API's problems."""

    code: str
    answer: str


# What the workflow of a transfer does at staff's request, by the name of its update, and what it answers.
UPDATE_ANSWERS: Mapping[Action, str] = {
    Action.RETRY_STEP: "The step is tried again.",
    Action.GIVE_BACK: "The amount goes back to its source, unless it has been delivered meanwhile.",
}

UPDATE_NAMES: Mapping[Action, str] = {Action.RETRY_STEP: "retry_now", Action.GIVE_BACK: "give_back"}

# The actions of the API that send a workflow each update. Cancelling in transit is a give-back.
SENT_AS: Mapping[Action, frozenset[Action]] = {
    Action.RETRY_STEP: frozenset({Action.RETRY_STEP}),
    Action.GIVE_BACK: frozenset({Action.GIVE_BACK, Action.CANCEL_TRANSFER}),
}
assert UPDATE_ANSWERS.keys() == UPDATE_NAMES.keys() == SENT_AS.keys()


def update_id_for(action: Action, action_id: ActionId) -> str:
    """The id of the update that the API sends for a recorded action: the same request has the same update."""
    return f"{UPDATE_NAMES[action]}/{action_id}"


@dataclass(eq=False)
class RequestReused(ActionRefused):
    """The same person used this Idempotency-Key for something else."""

    code = "idempotency_key_reused"

    def __str__(self) -> str:
        return "You used this Idempotency-Key for another action, or with another reason."


@dataclass(eq=False)
class AuditRunning(ActionRefused):
    """One audit at a time, over all processes."""

    code = "audit_running"

    def __str__(self) -> str:
        return "An audit is running already. Ask again when it has ended."
