"""Cases: what flags open, and staff look into and close. Pure: no I/O, no clock."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from ledger.ids import AccountId, CaseId, CustomerId, RuleSetId, TransferId
from ledger.refusals import ActionRefused


class CaseState(StrEnum):
    """Whether staff still have to look into it."""

    OPEN = "open"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class ScreeningCase:
    """An account that rules have flagged. It stops no money. An account has at most one open case."""

    id: CaseId
    account_id: AccountId
    opened_at: datetime
    closed_at: datetime | None
    closed_by: CustomerId | None
    closing_reason: str | None

    @property
    def state(self) -> CaseState:
        """Open until somebody closes it, for good."""
        return CaseState.OPEN if self.closed_at is None else CaseState.CLOSED


@dataclass(frozen=True, slots=True)
class CaseFlag:
    """One flag: the transfer, the rule's code and reason, and the verdict with all that its rules saw and found."""

    transfer_id: TransferId
    attempt: int
    code: str
    reason: str
    flagged_at: datetime
    answer: str
    rule_set_id: RuleSetId
    facts: dict[str, Any]


@dataclass(frozen=True, slots=True)
class CaseFile:
    """A case and its flags, oldest first."""

    case: ScreeningCase
    flags: list[CaseFlag]


@dataclass(eq=False)
class NoSuchCase(ActionRefused):
    """No case has this id, or it is about an account of whoever asks: nobody is warned of a case about themselves."""

    code = "case_not_found"
    case_id: CaseId

    def __str__(self) -> str:
        return f"There is no case {self.case_id}."


@dataclass(eq=False)
class CaseClosed(ActionRefused):
    """A case is closed once. What is flagged afterwards opens another one."""

    code = "case_closed"
    case_id: CaseId

    def __str__(self) -> str:
        return f"Case {self.case_id} is closed already."
