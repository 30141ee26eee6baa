"""What a record of the audit trail says. Pure: no I/O."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from ledger.ids import TransferId


class RecordOutcome(StrEnum):
    """Whether it was done, was refused, or was asked of a workflow, whose answer is a record of its own."""

    DONE = "done"
    ASKED = "asked"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One state change, or one refused attempt. It is never edited.

    `actor_id` is who caused it; None: a workflow went on by itself. `code` says why it was refused. `before` and
    `after` hold what changed of the subject.
    """

    id: int
    recorded_at: datetime
    kind: str
    outcome: RecordOutcome
    subject: str
    actor_id: str | None
    transfer_id: TransferId | None
    workflow_id: str | None
    code: str | None
    reason: str | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    request_id: str | None
    address: str | None
