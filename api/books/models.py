"""Totals, audits and statistics as answers."""

from datetime import datetime

from pydantic import BaseModel, Field

from api.http.fields import CurrencyCode
from api.staff.models import ReasonIn
from api.transfers.staff_models import AnyTransferOut
from ledger.postgres.audit import Audit, Totals
from ledger.transfers import State
from staff.postgres.stats import Stats


class TotalsOut(BaseModel):
    """The books of one currency: `customers` + `in_transit` + `world` is zero."""

    currency: CurrencyCode
    accounts: int
    entries: int
    customers: int = Field(validation_alias="customers_minor")
    in_transit: int = Field(validation_alias="in_transit_minor")
    world: int = Field(validation_alias="world_minor")

    @classmethod
    def of(cls, totals: Totals) -> "TotalsOut":
        return cls.model_validate(totals, from_attributes=True)


class BooksOut(BaseModel):
    items: list[TotalsOut]


class AuditIn(ReasonIn):
    full: bool = Field(False, description="Look at everything, also at what earlier audits found clean")


class BrokenOut(BaseModel):
    """A broken invariant: its name, where it is broken, and what was found there."""

    invariant: str = Field(examples=["balance_is_fold"])
    subject: str
    detail: str


class AuditOut(BaseModel):
    """The result of an audit. Clean books have nothing in `broken`."""

    clean: bool
    broken: list[BrokenOut] = Field(description="At most the first 100 findings")
    findings: int = Field(description="An audit stops at 1,000")
    since: datetime | None = Field(
        description="Earlier audits found clean what was recorded until then; null: this one looked at everything"
    )
    books: list[TotalsOut]
    transfers_by_state: dict[State, int]

    @classmethod
    def of(cls, audit: Audit, most: int = 100) -> "AuditOut":
        return cls(
            clean=audit.clean,
            broken=[BrokenOut.model_validate(found, from_attributes=True) for found in audit.broken[:most]],
            findings=len(audit.broken),
            since=audit.since,
            books=[TotalsOut.of(totals) for totals in audit.totals],
            transfers_by_state={State(state): count for state, count in audit.transfers_by_state.items()},
        )


class WaitingOut(BaseModel):
    """The transfers in a state that is not final, and the seconds since the oldest of them last changed."""

    state: State
    transfers: int
    longest_seconds: int


class InTransitOut(BaseModel):
    currency: CurrencyCode
    transfers: int
    amount: int = Field(validation_alias="amount_minor")


class StatsOut(BaseModel):
    """Transfers of the last hour and day by their present state, those that are not final, and amounts in transit."""

    last_hour: dict[State, int]
    last_day: dict[State, int]
    waiting: list[WaitingOut]
    oldest_not_final: AnyTransferOut | None = Field(description="The one whose last change is the longest ago")
    in_transit: list[InTransitOut]

    @classmethod
    def of(cls, stats: Stats, oldest: AnyTransferOut | None) -> "StatsOut":
        return cls(
            last_hour=stats.last_hour,
            last_day=stats.last_day,
            waiting=[WaitingOut.model_validate(found, from_attributes=True) for found in stats.waiting],
            oldest_not_final=oldest,
            in_transit=[InTransitOut.model_validate(found, from_attributes=True) for found in stats.in_transit],
        )
