"""Rebuilds as requests and answers."""

from datetime import date, datetime
from typing import Literal, Self

from pydantic import BaseModel, Field, model_validator

from api.http.fields import AccountIdIn
from api.http.problems import ProblemCode
from api.staff.models import ReasonIn
from ledger.ids import AccountId, CustomerId, RebuildId
from staff.rebuilds.rebuild import Rebuild, RebuildCounts, RebuildFinding, RebuildOutcome, RebuildState


class RebuildIn(ReasonIn):
    """One account or all of them, and why."""

    account_id: AccountIdIn | None = None
    all: Literal[True] | None = Field(None, description="All accounts, instead of one")

    @model_validator(mode="after")
    def _names_one_or_all(self) -> Self:
        if (self.account_id is None) == (self.all is None):
            raise ValueError('Give an account_id, or "all": true')
        return self


class RebuildSummaryOut(BaseModel):
    """A rebuild that somebody has requested, and how far it has come."""

    id: RebuildId
    account_id: AccountId | None = Field(description="null: all accounts that there were when it was requested")
    requested_by: CustomerId
    reason: str
    state: RebuildState
    accounts_done: int = Field(description="How many accounts it has looked at", examples=[1200])
    accounts_total: int | None = Field(description="null: they are not counted yet", examples=[48000])
    created_at: datetime
    completed_at: datetime | None

    @classmethod
    def of(cls, rebuild: Rebuild) -> "RebuildSummaryOut":
        return cls(
            id=rebuild.id,
            account_id=rebuild.account_id,
            requested_by=rebuild.actor_id,
            reason=rebuild.reason,
            state=rebuild.state,
            accounts_done=rebuild.accounts_done,
            accounts_total=rebuild.accounts_total,
            created_at=rebuild.created_at,
            completed_at=rebuild.completed_at,
        )


class RebuildsOut(BaseModel):
    items: list[RebuildSummaryOut]
    next_cursor: str | None


class DifferenceOut(BaseModel):
    """A value of an account's row that was not as its entries require, and was changed."""

    account_id: AccountId
    column: str = Field(examples=["balance"])
    before: int | date | str | None = Field(description="Amounts in the currency's minor unit", examples=[12051])
    after: int | date | str | None = Field(examples=[12050])


class LeftAccountOut(BaseModel):
    """An account that was left as it is, and why."""

    account_id: AccountId
    code: ProblemCode = Field(examples=["entries_broken"])
    detail: str = Field(
        examples=[
            "The entries of account acc_… are not what was written, so it is left as it is: version 3 has no posting."
        ]
    )


class RebuildFindingsOut(BaseModel):
    """What a rebuild found, newest first: values that it changed, and accounts that it left as they are."""

    differences: list[DifferenceOut]
    left: list[LeftAccountOut]
    next_cursor: str | None


class RebuildOut(RebuildSummaryOut):
    """A rebuild with what it has found so far, and the newest 50 accounts of that."""

    rebuilt: int = Field(description="How many accounts were rebuilt", examples=[2])
    left_as_they_are: int = Field(description="How many accounts it could not rebuild", examples=[1])
    differences: list[DifferenceOut]
    left: list[LeftAccountOut]

    @classmethod
    def with_findings(cls, rebuild: Rebuild, counts: RebuildCounts, findings: list[RebuildFinding]) -> "RebuildOut":
        return cls(
            **RebuildSummaryOut.of(rebuild).model_dump(),
            rebuilt=counts.rebuilt,
            left_as_they_are=counts.left,
            differences=differences_in(findings),
            left=left_in(findings),
        )


def differences_in(findings: list[RebuildFinding]) -> list[DifferenceOut]:
    """Each value that was changed."""
    return [
        DifferenceOut(account_id=each.account_id, column=name, before=each.before[name], after=each.after[name])
        for each in findings
        if each.before is not None and each.after is not None
        for name in each.before
    ]


def left_in(findings: list[RebuildFinding]) -> list[LeftAccountOut]:
    """Each account that was left as it is."""
    return [
        LeftAccountOut(account_id=each.account_id, code=each.code, detail=each.detail)
        for each in findings
        if each.outcome is RebuildOutcome.LEFT and each.code is not None and each.detail is not None
    ]
