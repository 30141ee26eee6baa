"""The load: when requests are due, how many may be in flight, and the count of their results.

In an open loop, requests are due on a schedule that does not depend on the system under test. A request that is due
while the maximum is in flight is not sent, and counted as unsent. Latency is measured from the time a request was due,
not from the time it was sent.
"""

import asyncio
import math
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

PERCENTILES = (50, 95, 99)
PROGRESS_SECONDS = 0.5

Send = Callable[[], Awaitable[str]]
"""Sends one request and returns a text for its answer. Never raises: a failure is an answer too."""


@dataclass(frozen=True, slots=True)
class Load:
    """The concurrency, rate and duration of a load.

    In the first `lead_in` of the `seconds`, which are not measured, the requests in flight rise one by one. If all
    started together, they would end together, and the measured time would hold one such wave more or less.

    `rate` is arrivals a second, their gaps drawn from an exponential distribution by `seed`. None closes the loop: each
    request is due when the one before it has been answered, which measures latency without a queue. `limit` ends it
    early, after so many requests. Answers other than `expected` count as neither throughput nor latency.
    """

    in_flight: int
    seconds: float
    rate: float | None = None
    seed: int = 0
    lead_in: float = 0.0
    limit: int | None = None
    expected: str = "201 completed"


@dataclass(slots=True)
class Tally:
    """The results of one load. Times are in seconds since its start."""

    load: Load
    sent: int = 0
    unsent: int = 0
    good: int = 0
    good_in_time: int = 0
    took: float = 0.0
    answers: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)

    def count(self, answer: str, due: float, ended: float) -> None:
        """Count one request by its answer, the time it was due and the time it ended."""
        self.answers[answer] += 1
        if answer != self.load.expected:
            return
        self.good += 1
        if due >= self.load.lead_in:
            self.latencies.append(ended - due)
        if self.load.lead_in < ended <= self.load.seconds:
            self.good_in_time += 1

    def summary(self) -> dict[str, Any]:
        """For the results: counts, throughput per second and latencies in milliseconds."""
        ordered = sorted(self.latencies)
        seconds = (min(self.load.seconds, self.took) - self.load.lead_in) or 1.0
        return {
            "load": asdict(self.load),
            "sent": self.sent,
            "unsent": self.unsent,
            "good": self.good,
            "answers": dict(self.answers),
            "seconds": round(seconds, 3),
            "throughput": round(self.good_in_time / seconds, 2),
            "latency_ms": {f"p{wanted}": _ms(percentile(ordered, wanted)) for wanted in PERCENTILES}
            | {"max": _ms(ordered[-1] if ordered else None)},
        }


def percentile(ordered: Sequence[float], wanted: float) -> float | None:
    """The nearest-rank percentile of values in order: always a measured value, never an interpolated one."""
    if not ordered:
        return None
    return ordered[max(math.ceil(wanted / 100 * len(ordered)), 1) - 1]


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 2)


def arrivals(rate: float, seed: int) -> Iterator[float]:
    """The times at which requests are due, in seconds since the load began. Endless."""
    chance, due = random.Random(seed), 0.0  # noqa: S311 - the same load again, not a secret
    while True:
        due += chance.expovariate(rate)
        yield due


class _Slots:
    """The number of requests that may still be sent, and when the first slot became free after none was."""

    def __init__(self, number: int) -> None:
        self.free = number
        self.freed_at = 0.0
        self._freed = asyncio.Event()

    def take(self) -> None:
        self.free -= 1
        if not self.free:
            self._freed.clear()

    def give_back(self, now: float) -> None:
        if not self.free:
            self.freed_at = now
            self._freed.set()
        self.free += 1

    async def wait(self) -> None:
        if not self.free:
            await self._freed.wait()


async def run_load(load: Load, send: Send, progress: Callable[[Tally], None] = lambda _: None) -> Tally:
    """Run the load with `send`, and return once every request that was sent has been answered.

    This ends, because `send` has a time limit of its own.
    """
    loop = asyncio.get_running_loop()
    ramps = load.rate is not None and load.lead_in > 0
    tally, slots = Tally(load), _Slots(1 if ramps else load.in_flight)
    began = time.perf_counter()  # the loop's own clock counts whole milliseconds
    running: set[asyncio.Task[None]] = set()

    async def one(due: float) -> None:
        answer = await send()
        now = time.perf_counter() - began
        tally.count(answer, due, now)
        slots.give_back(now)

    def start(due: float) -> None:
        slots.take()
        tally.sent += 1
        task = loop.create_task(one(min(due, time.perf_counter() - began)))
        running.add(task)
        task.add_done_callback(running.discard)

    beside = [loop.create_task(_report(tally, progress))]
    if ramps:
        beside.append(loop.create_task(_ramp_up(load, slots, began)))
    try:
        if load.rate is None:
            await _closed_loop(load, slots, start, began)
        else:
            await _open_loop(load, slots, start, began, tally)
        await asyncio.gather(*running)
        tally.took = time.perf_counter() - began
    finally:
        for task in (*beside, *running):
            task.cancel()
    return tally


async def _ramp_up(load: Load, slots: _Slots, began: float) -> None:
    """Add the other slots one by one during the first four fifths of the lead-in."""
    for _ in range(load.in_flight - 1):
        await asyncio.sleep(0.8 * load.lead_in / load.in_flight)
        slots.give_back(time.perf_counter() - began)


async def _open_loop(load: Load, slots: _Slots, start: Callable[[float], None], began: float, tally: Tally) -> None:
    assert load.rate is not None
    for due in arrivals(load.rate, load.seed):
        if due >= load.seconds or tally.sent == load.limit:
            break
        while not slots.free:
            await slots.wait()
        if due < slots.freed_at:  # no slot was free when it was due
            tally.unsent += 1
            continue
        if (early := due - (time.perf_counter() - began)) > 0:
            await asyncio.sleep(early)
        start(due)


async def _closed_loop(load: Load, slots: _Slots, start: Callable[[float], None], began: float) -> None:
    sent = 0
    while (now := time.perf_counter() - began) < load.seconds and sent != load.limit:
        if slots.free:
            start(now)
            sent += 1
        else:
            await slots.wait()


async def _report(tally: Tally, progress: Callable[[Tally], None]) -> None:
    while True:
        await asyncio.sleep(PROGRESS_SECONDS)
        progress(tally)
