"""One run: cases take turns in short rounds, so that a machine that slows down slows all of them down."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.cases import Case, Level, Profile
from bench.postgres import plain
from bench.processes import cpu_seconds, memory_mb
from bench.servers import Servers
from bench.traffic.generator import TRANSFER
from bench.traffic.jobs import Job, ask
from bench.traffic.load import Load
from database.connections import Database
from ledger.postgres.audit import audit

# The pause between rounds: work that a system does after its last answer must not disturb the next round.
SETTLE_SECONDS = 0.4
HALF = "half"


class BooksBroken(Exception):
    """An invariant is violated after some rounds. The figures of such a run are worthless."""


class Progress:
    """Receives the progress of a run. This class shows nothing."""

    def step(self, what: str) -> None:
        """A step begins."""

    def going(self, sent: int, good: int) -> None:
        """The step continues: requests sent, and expected answers received, so far."""

    def done(self, line: str) -> None:
        """A step has ended; `line` is its result."""


@dataclass
class Recorder:
    """The rounds of a run, and the audits between them."""

    rounds: list[dict[str, Any]] = field(default_factory=list)
    audits: list[dict[str, Any]] = field(default_factory=list)

    def throughput(self, case: str, level: str) -> float:
        """The median of the rounds so far; 0 where there are none."""
        found = sorted(
            float(entry["throughput"]) for entry in self.rounds if entry["case"] == case and entry["level"] == level
        )
        return found[len(found) // 2] if found else 0.0


class Run:
    """Puts loads on the systems of one set of servers and records the results."""

    def __init__(self, servers: Servers, profile: Profile, seed: int, progress: Progress) -> None:
        self.servers = servers
        self.profile = profile
        self.seed = seed
        self.recorder = Recorder()
        self.progress = progress
        self._warm: set[tuple[str, str]] = set()

    async def level(self, level: Level) -> None:
        """All cases of a level, round by round; every round begins with another case."""
        for number in range(level.rounds):
            shift = number % len(level.cases)
            for case in (*level.cases[shift:], *level.cases[:shift]):
                await self.warm_up(case)
                load = level.load(case, self._seed(number))
                await self.round(case, str(level.in_flight), number, load)
        await self.check_books({case.system for case in level.cases})

    async def half(self, cases: Sequence[Case], rounds: int, seconds: float) -> None:
        """Measure at a fixed rate: half of the case's throughput with 30 in flight."""
        for number in range(rounds):
            for case in cases:
                if rate := self.recorder.throughput(case.name, "30") / 2:
                    load = Load(100, seconds, rate, self._seed(number), expected=case.expected)
                    await self.round(case, HALF, number, load)
        await self.check_books({case.system for case in cases})

    async def warm_up(self, case: Case) -> None:
        """Warm up the caches, pollers and connections of this way to call the system, once."""
        if (case.system, case.way) in self._warm:
            return
        self._warm.add((case.system, case.way))
        self.progress.step(f"{case.name}: warming up")
        load = Load(30, self.profile.warm_up_seconds, 1000, self.seed, expected=case.expected)
        await self.ask(case, load)
        await asyncio.sleep(SETTLE_SECONDS)

    async def round(
        self, case: Case, level: str, number: int, load: Load, groups: Mapping[str, list[int]] | None = None
    ) -> None:
        """One load on one case, with the CPU that each process used for it."""
        self.progress.step(f"{case.name}, {level} in flight, round {number + 1}")
        groups = groups or self.servers.groups(case.system)
        before = cpu_seconds(groups)
        tally = await self.ask(case, load)
        after = cpu_seconds(groups)
        used = {name: round(after[name] - before[name], 3) for name in groups}
        self.record(case.name, level, number, tally, cpu_seconds=used, memory_mb=memory_mb(groups))
        await asyncio.sleep(SETTLE_SECONDS)

    def record(self, case: str, level: str, number: int, tally: Mapping[str, Any], **used: Mapping[str, float]) -> None:
        """Keep and show a round; `used` is CPU and memory, where they belong to this load alone."""
        entry = {"case": case, "level": level, "round": number, **tally, "cpu_seconds": {}, "memory_mb": {}, **used}
        self.recorder.rounds.append(entry)
        self.progress.done(round_line(entry))

    async def ask(self, case: Case, load: Load) -> dict[str, Any]:
        """Have the load generator, or the system's own process, put the load on the case."""
        ports = self.servers.ports
        if case.over_http:
            return await ask(ports["load"], Job(load, case.choice, ports[case.system], TRANSFER), self._going)
        return await ask(ports[case.system], Job(load, case.choice, way=case.way), self._going)

    async def check_books(self, systems: set[str]) -> None:
        """Check every invariant of every ledger that was under load. Raises `BooksBroken`."""
        for system in sorted(systems - {"floor"}):
            self.progress.step(f"checking the books of {system}")
            url = self.servers.database_url(system)
            if system == "one_transaction":
                if wrong := await plain.broken_accounts(url):
                    raise BooksBroken(f"{system}: {wrong} balances are not the sum of their entries")
                continue
            async with Database(url, 1, "bench-audit") as database:
                found = await audit(database, self.servers.fingerprints)
            self.recorder.audits.append(
                {
                    "system": system,
                    "clean": found.clean,
                    "entries": sum(books.entries for books in found.totals),
                    "transfers": found.transfers_by_state,
                }
            )
            if not found.clean:
                first = found.broken[0]
                raise BooksBroken(f"{system}: {first.invariant}: {first.subject}: {first.detail}")
        await asyncio.sleep(SETTLE_SECONDS)

    def _going(self, counts: Mapping[str, int]) -> None:
        self.progress.going(counts["sent"], counts["good"])

    def _seed(self, number: int) -> int:
        return self.seed * 1000 + number


def round_line(entry: Mapping[str, Any]) -> str:
    """A round as one line of text."""
    latency = entry["latency_ms"]
    others = {answer: count for answer, count in entry["answers"].items() if answer != entry["load"]["expected"]}
    wrong = f"  other answers: {others}" if others else ""
    return (
        f"{entry['case']:<31} {entry['level']:>6} in flight  round {entry['round'] + 1}  {entry['throughput']:>8.1f}/s"
        f"  p50 {latency['p50'] or 0:>7.1f}  p99 {latency['p99'] or 0:>7.1f} ms  unsent {entry['unsent']:,}{wrong}"
    )
