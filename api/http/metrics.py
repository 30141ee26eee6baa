"""Gauges over the whole service: what is open in the books, and what Temporal knows. Counters are where they count.

A scrape never waits for long and never reads twice within `KEPT_SECONDS`, however many collectors scrape. While
PostgreSQL or Temporal does not answer in time, its gauges are missing: an old figure would pass for a new one.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from prometheus_client import Gauge

from api.temporal import RecoverySchedule, TemporalGateway
from api.temporal_connection import TemporalUnavailable
from database.connections import Unavailable
from events.postgres.dead_letters import DeadLetters
from events.postgres.sequencer import UnnumberedReads
from events.postgres.sinks import SinkReads, SinkStanding
from staff.postgres.open_work import OpenWork, OpenWorkReads
from trail.postgres.unsealed import UnsealedReads

Answer = TypeVar("Answer")

# The collector waits for the whole answer: a scrape without these gauges is better than none.
LIMIT_SECONDS = 1

# At most one read of each source in this time, also when the read fails.
KEPT_SECONDS = 10

NOT_FINAL = Gauge("remit_transfers_not_final", "Transfers that are not final, by state", ["state"])
LONGEST = Gauge(
    "remit_transfers_not_final_longest_seconds",
    "Seconds since the transfer that waits longest in this state last changed",
    ["state"],
)
IN_TRANSIT = Gauge("remit_in_transit_amount_minor", "Amount between debit and credit, in minor units", ["currency"])
IN_TRANSIT_OLDEST = Gauge(
    "remit_in_transit_oldest_seconds", "Seconds since the first of the amount in transit was debited", ["currency"]
)
REVIEWS = Gauge("remit_reviews", "Transfers in review: all that are open, and those past their deadline", ["condition"])
DISPUTES = Gauge("remit_disputes", "Disputes: all that are open, and those past their deadline", ["condition"])
CASES = Gauge("remit_screening_cases", "Cases that screening has opened: all that are open", ["condition"])
DOCUMENTS = Gauge("remit_documents_undecided", "Identity documents that nobody has decided about, by state", ["state"])
DOCUMENTS_LONGEST = Gauge(
    "remit_documents_undecided_longest_seconds",
    "Seconds since the identity document that waits longest in this state was sent",
    ["state"],
)
UNSEALED = Gauge(
    "remit_trail_unsealed_longest_seconds", "Age of the oldest record of an audit trail that has no seal", ["trail"]
)
SINK_LAG = Gauge("remit_sink_lag_events", "Events that a sink has not delivered yet", ["sink"])
SINK_LAG_SECONDS = Gauge(
    "remit_sink_lag_seconds", "Age of the oldest event that a sink has not delivered yet", ["sink"]
)
SINK_FAILING = Gauge("remit_sink_failing", "1 while a sink cannot deliver", ["sink"])
DEAD_LETTERS = Gauge("remit_dead_letters", "Dead letters that nobody has replayed or discarded", ["source"])
UNNUMBERED = Gauge(
    "remit_events_unnumbered_longest_seconds", "Age of the oldest event that has no position yet", ["outbox"]
)
NEEDING_ATTENTION = Gauge(
    "remit_transfers_needing_attention", "Transfers that Temporal marks as needing attention", ["task_queue"]
)
RECOVERY_PAUSED = Gauge("remit_recovery_paused", "1 while the schedule of recovery is paused", ["schedule"])
RECOVERY_SWEPT = Gauge(
    "remit_recovery_last_sweep_timestamp_seconds", "When recovery last began to look for lost transfers", ["schedule"]
)
SCHEDULE = "recovery"
OUTBOX = "outbox_events"

_OF_OPEN_WORK = (
    *(NOT_FINAL, LONGEST, IN_TRANSIT, IN_TRANSIT_OLDEST, REVIEWS, DISPUTES),
    *(CASES, DOCUMENTS, DOCUMENTS_LONGEST),
)


@dataclass
class Kept(Generic[Answer]):
    """The recent answer of a source; None: it gave none in time. A missing answer is kept as well."""

    ask: Callable[[], Awaitable[Answer]]
    clock: Callable[[], float] = time.monotonic
    _answer: Answer | None = None
    _until: float | None = None
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def read(self) -> Answer | None:
        """One question serves all who read within `KEPT_SECONDS`."""
        async with self._turn:
            if self._until is None or self.clock() >= self._until:
                try:
                    async with asyncio.timeout(LIMIT_SECONDS):
                        self._answer = await self.ask()
                except (Unavailable, TemporalUnavailable, TimeoutError):
                    self._answer = None
                self._until = self.clock() + KEPT_SECONDS
            return self._answer


class ApiGauges:
    """The gauges of one API process over the books and over Temporal."""

    def __init__(
        self,
        open_work: OpenWorkReads,
        unsealed: UnsealedReads,
        unnumbered: UnnumberedReads,
        sinks: SinkReads,
        letters: DeadLetters,
        temporal: TemporalGateway,
    ) -> None:
        self._task_queue = temporal.task_queue
        self._open_work = Kept(open_work.read)
        self._unsealed = Kept(unsealed.longest_seconds)
        self._unnumbered = Kept(unnumbered.longest_seconds)
        self._delivery = Kept(lambda: _delivery(sinks, letters))
        self._attention = Kept(lambda: temporal.count_needing_attention(LIMIT_SECONDS))
        self._recovery = Kept(temporal.recovery_schedule)

    async def read(self) -> None:
        """Set the gauges to recent values, or clear them, in about `LIMIT_SECONDS` at most."""
        work, unsealed, unnumbered, delivery, attention, recovery = await asyncio.gather(
            self._open_work.read(),
            self._unsealed.read(),
            self._unnumbered.read(),
            self._delivery.read(),
            self._attention.read(),
            self._recovery.read(),
        )
        _set_open_work(work)
        UNSEALED.clear()
        for trail, seconds in (unsealed or {}).items():
            UNSEALED.labels(trail).set(seconds)
        _set_delivery(*(delivery or ([], {})))
        UNNUMBERED.clear()
        if unnumbered is not None:
            UNNUMBERED.labels(OUTBOX).set(unnumbered)
        NEEDING_ATTENTION.clear()
        if attention is not None:
            NEEDING_ATTENTION.labels(self._task_queue).set(attention)
        _set_recovery(recovery)


def _set_open_work(work: OpenWork | None) -> None:
    for gauge in _OF_OPEN_WORK:
        gauge.clear()
    if work is None:
        return
    for found in work.states:
        NOT_FINAL.labels(found.state).set(found.transfers)
        LONGEST.labels(found.state).set(found.oldest_seconds)
    for money in work.in_transit:
        IN_TRANSIT.labels(money.currency).set(money.amount_minor)
        IN_TRANSIT_OLDEST.labels(money.currency).set(money.oldest_seconds)
    for gauge, cases in ((REVIEWS, work.reviews), (DISPUTES, work.disputes)):
        gauge.labels("open").set(cases.open)
        gauge.labels("overdue").set(cases.overdue)
    CASES.labels("open").set(work.cases.open)
    for waiting in work.documents:
        DOCUMENTS.labels(waiting.state).set(waiting.documents)
        DOCUMENTS_LONGEST.labels(waiting.state).set(waiting.oldest_seconds)


async def _delivery(sinks: SinkReads, letters: DeadLetters) -> tuple[list[SinkStanding], dict[str, int]]:
    return await sinks.all(), await letters.counts()


def _set_delivery(sinks: list[SinkStanding], dead_letters: dict[str, int]) -> None:
    for gauge in (SINK_LAG, SINK_LAG_SECONDS, SINK_FAILING, DEAD_LETTERS):
        gauge.clear()
    for sink in sinks:
        SINK_LAG.labels(sink.name).set(sink.lag_events)
        SINK_LAG_SECONDS.labels(sink.name).set(sink.lag_seconds)
        SINK_FAILING.labels(sink.name).set(sink.failing_since is not None)
    for source, many in dead_letters.items():
        DEAD_LETTERS.labels(source).set(many)


def _set_recovery(found: RecoverySchedule | None) -> None:
    RECOVERY_PAUSED.clear()
    RECOVERY_SWEPT.clear()
    if found is None:
        return
    RECOVERY_PAUSED.labels(SCHEDULE).set(found.is_paused)
    if found.last_sweep_at is not None:
        RECOVERY_SWEPT.labels(SCHEDULE).set(found.last_sweep_at.timestamp())
