"""Cases as answers. They are for staff only: no customer learns that an account is flagged."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from api.http.fields import AccountIdIn, ListFilters
from ledger.ids import AccountId, CaseId, CustomerId, RuleSetId, TransferId
from screening.cases import CaseFile, CaseState, ScreeningCase


class CaseFilters(ListFilters):
    """All filters of a request apply together. One that is left out allows everything."""

    state: CaseState | None = None
    account_id: AccountIdIn | None = None


class CaseOut(BaseModel):
    """An account that screening has flagged. It stops no money."""

    id: CaseId = Field(examples=["cas_fcunsiksm3ppucbrdqutxaufvi"])
    account_id: AccountId
    state: CaseState
    opened_at: datetime
    closed_at: datetime | None
    closed_by: CustomerId | None
    closing_reason: str | None = Field(examples=["Salary, confirmed by phone, ticket 4711"])

    @classmethod
    def of_case(cls, case: ScreeningCase) -> "CaseOut":
        return cls.model_validate(case, from_attributes=True)


class CasesOut(BaseModel):
    """A page of cases, newest first."""

    items: list[CaseOut]
    next_cursor: str | None


class CaseFlagOut(BaseModel):
    """Why the account was flagged: the rule's code and reason, and what all rules saw of that transfer."""

    transfer_id: TransferId
    attempt: int
    rule: str = Field(validation_alias="code", examples=["withdrawals_in_a_minute"])
    reason: str = Field(examples=["3 of withdrawals within 60 s, $1,200.00 together."])
    flagged_at: datetime
    answer: str = Field(description="The verdict, by all rules together", examples=["flag"])
    rule_set_id: RuleSetId = Field(
        description="The rules that gave the verdict", examples=["rls_iuwbh4hkzdez5j5ag3ea6cau2u"]
    )
    facts: dict[str, Any] = Field(examples=[{"sent_withdrawal_within_60_seconds": {"count": 3, "sum": 120000}}])


class CaseFileOut(CaseOut):
    """A case with its flags, oldest first: at most 1,000."""

    flags: list[CaseFlagOut]

    @classmethod
    def of(cls, file: CaseFile) -> "CaseFileOut":
        return cls(
            **CaseOut.of_case(file.case).model_dump(),
            flags=[CaseFlagOut.model_validate(flag, from_attributes=True) for flag in file.flags],
        )
