"""The record of what staff ask of a transfer and of what came of it. Pure: no I/O, no clock."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ledger.ids import ActionId
from ledger.refusals import ActionRefused
from staff.permissions import Action, Actor


@dataclass(frozen=True, slots=True)
class Intention:
    """What one of the staff is about to ask of a transfer: recorded before it is sent.

    `request` names the request that it is made for: the same one again is the same intention, until it is refused.
    `key` is what the client named it by instead, and then all else must be the same. Neither: every time is a new one.
    `asked` is what exactly is asked, and `before` how the transfer stood.
    """

    actor: Actor
    action: Action
    subject: str
    reason: str
    before: Mapping[str, Any]
    asked: Mapping[str, Any] | None = None
    request: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What came of an intention: taken, or refused with a `code`. `answer` is what the actor was told."""

    answer: str
    code: str | None = None
    after: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Intended:
    """A recorded intention, and what came of it; `taken` None: not known, or not taken yet.

    `before` is how the transfer stood when it was recorded, which may have been an earlier request.
    """

    action_id: ActionId
    before: Mapping[str, Any]
    taken: Conclusion | None = None


@dataclass(eq=False)
class RequestReused(ActionRefused):
    """The same person used this Idempotency-Key for something else."""

    code = "idempotency_key_reused"

    def __str__(self) -> str:
        return "You used this Idempotency-Key for another action, or with another reason."


@dataclass(eq=False)
class AuditRunning(ActionRefused):
    """One audit at a time: each reads all of the books."""

    code = "audit_running"

    def __str__(self) -> str:
        return "An audit is running already. Ask again when it has ended."
