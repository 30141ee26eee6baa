"""Totals, audits and statistics as answers."""

from datetime import datetime

from pydantic import BaseModel, Field

from api.http.fields import CurrencyCode
from api.staff.models import ReasonIn
from api.transfers.staff_models import AnyTransferOut
from ledger.postgres.audit import Audit, AuditProgress, Totals
from ledger.transfers import State
from staff.period_stats.period import PeriodStats
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


class AuditProgressOut(BaseModel):
    """How far an audit is that runs now. It looks at accounts first, and at transfers and all else behind them."""

    running: bool
    accounts_done: int | None = Field(description="null: none runs, or the accounts are not counted yet")
    accounts_total: int | None

    @classmethod
    def of(cls, progress: AuditProgress | None) -> "AuditProgressOut":
        if progress is None:
            return cls(running=False, accounts_done=None, accounts_total=None)
        return cls(running=True, accounts_done=progress.accounts_done, accounts_total=progress.accounts_total)


class WaitingOut(BaseModel):
    """The transfers in a state that is not final, and the seconds since the oldest of them last changed."""

    state: State
    transfers: int
    longest_seconds: int


class InTransitOut(BaseModel):
    currency: CurrencyCode
    transfers: int
    amount: int = Field(validation_alias="amount_minor")
    oldest_seconds: int = Field(description="Since the debit of the one that waits longest")


class VolumeOut(BaseModel):
    """What was completed in one currency."""

    currency: CurrencyCode
    transfers: int
    amount: int = Field(validation_alias="amount_minor", description="In the currency's minor unit")


class LatencyOut(BaseModel):
    """How long transfers took from their creation to their end, in milliseconds. Above a second, to three digits."""

    p50: int = Field(examples=[45])
    p95: int = Field(examples=[180])
    p99: int = Field(examples=[1240])


class PeriodStatsOut(BaseModel):
    """Figures of the transfers that were created in a period, by their present state."""

    from_: datetime = Field(serialization_alias="from", description="At this time or later")
    to: datetime = Field(description="Before this time")
    customers: int = Field(description="How many registered in the period")
    transfers: int
    by_state: dict[State, int]
    volume: list[VolumeOut] = Field(description="What was completed, by currency")
    failures: dict[str, int] = Field(
        description="Transfers that failed or were compensated, by code", examples=[{"insufficient_funds": 3}]
    )
    latency_ms: LatencyOut | None = Field(description="null: none has ended")

    @classmethod
    def of(cls, stats: PeriodStats) -> "PeriodStatsOut":
        latency = stats.latency_ms
        return cls(
            from_=stats.period.begins,
            to=stats.period.ends,
            customers=stats.customers,
            transfers=stats.transfers,
            by_state=dict(stats.by_state),
            volume=[VolumeOut.model_validate(each, from_attributes=True) for each in stats.volume],
            failures=dict(stats.failures),
            latency_ms=LatencyOut(p50=latency[50], p95=latency[95], p99=latency[99]) if latency else None,
        )


class StatsOut(BaseModel):
    """Transfers of the last hour and day by their present state, those that are not final, and amounts in transit.

    With `from`, also the figures of a period.
    """

    last_hour: dict[State, int]
    last_day: dict[State, int]
    waiting: list[WaitingOut]
    oldest_not_final: AnyTransferOut | None = Field(description="The one whose last change is the longest ago")
    in_transit: list[InTransitOut]
    period: PeriodStatsOut | None = Field(description="null: none was asked for")

    @classmethod
    def of(cls, stats: Stats, oldest: AnyTransferOut | None, period: PeriodStats | None) -> "StatsOut":
        return cls(
            last_hour=stats.last_hour,
            last_day=stats.last_day,
            waiting=[WaitingOut.model_validate(found, from_attributes=True) for found in stats.waiting],
            oldest_not_final=oldest,
            in_transit=[InTransitOut.model_validate(found, from_attributes=True) for found in stats.in_transit],
            period=PeriodStatsOut.of(period) if period else None,
        )
