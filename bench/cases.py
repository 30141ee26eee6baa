"""The cases: a system, how it is called, and with which accounts."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bench.traffic.load import Load
from bench.traffic.population import Choice

# Rates far above the throughput of any system, so that the maximum is always in flight.
HTTP_FLOOD = 3_000.0
DIRECT_FLOOD = 30_000.0

# Cases that answer within milliseconds, and need only a short lead-in.
LEDGER_ALONE = "ef"

REMIT = "remit"
MILLION = "remit_million"
# The same product twice, in pairs of rounds: with events, and without.
WITH_EVENTS, WITHOUT_EVENTS = "with_events", "without_events"
# Books for bulk postings, which are measured in the process that runs the benchmark.
BATCHES = "batches"
# Those whose processes, if any, are started by what measures them.
STARTED_LATER = (MILLION, WITH_EVENTS, WITHOUT_EVENTS, BATCHES)


@dataclass(frozen=True, slots=True)
class Case:
    """`letter` is what `--only` takes. `way` is a call inside the system's process; empty: over HTTP."""

    letter: str
    name: str
    title: str
    system: str
    way: str = ""
    choice: Choice = Choice.UNIFORM

    @property
    def label(self) -> str:
        """Its name in charts: the system and the case."""
        return f"{_SYSTEMS[self.system]} · {self.name}"

    @property
    def over_http(self) -> bool:
        """Whether the load generator calls it. If not, the system's own process does."""
        return not self.way

    @property
    def expected(self) -> str:
        """The only answer that counts as a success."""
        return "201 completed" if self.over_http else "completed"


_SYSTEMS = {
    "floor": "Temporal's floor",
    "textbook": "textbook saga",
    "remit": "Remit",
    "remit_million": "Remit",
    "with_events": "Remit",
    "without_events": "Remit",
    "ledger_steps": "ledger's steps",
    "one_transaction": "one SQL transaction",
    "durable_functions": "DBOS",
}

FLOOR_EAGER = Case("a", "a eager", "a workflow that does nothing, eager start, called directly", "floor", "eager")
FLOOR_QUEUED = Case("a", "a queued", "the same without eager start", "floor", "queued")
FLOOR_HTTP = Case("a'", "a'", "eager, behind the thinnest FastAPI route", "floor")
TEXTBOOK_DIRECT = Case("b", "b direct", "the textbook saga, called directly", "textbook", "saga")
TEXTBOOK = Case("b", "b", "the textbook saga over HTTP: four regular activities", "textbook")
UNIFORM = Case("c", "c", "Remit over HTTP, accounts chosen uniformly", REMIT)
HOT_PAYEE = Case("d", "d hot payee", "Remit, everybody pays one account", REMIT, choice=Choice.HOT_PAYEE)
HOT_PAYER = Case("d", "d hot payer", "Remit, one account pays everybody", REMIT, choice=Choice.HOT_PAYER)
TEN = Case("d", "d ten accounts", "Remit, ten accounts", REMIT, choice=Choice.TEN_ACCOUNTS)
ZIPF = Case("d", "d Zipf", "Remit, accounts by Zipf's law", REMIT, choice=Choice.ZIPF)
STEPS = Case("e", "e uniform", "the ledger's steps alone", "ledger_steps", "steps")
STEPS_HOT = Case("e", "e hot", "the ledger's steps, one payee", "ledger_steps", "steps", Choice.HOT_PAYEE)
PLAIN = Case("f", "f", "the whole transfer as one SQL transaction", "one_transaction", "transaction")
DBOS_DIRECT = Case("g", "g direct", "the same steps in DBOS, called directly", "durable_functions", "saga")
DBOS = Case("g", "g", "the same steps in DBOS, over HTTP", "durable_functions")
MILLION_ENTRIES = Case("i", "i", "Remit over HTTP, a million entries in the books", MILLION)

CASES: Sequence[Case] = (
    FLOOR_EAGER,
    FLOOR_QUEUED,
    FLOOR_HTTP,
    TEXTBOOK_DIRECT,
    TEXTBOOK,
    UNIFORM,
    HOT_PAYEE,
    HOT_PAYER,
    TEN,
    ZIPF,
    STEPS,
    STEPS_HOT,
    PLAIN,
    DBOS_DIRECT,
    DBOS,
    MILLION_ENTRIES,
)
QUICK: Sequence[Case] = (FLOOR_HTTP, TEXTBOOK, UNIFORM, HOT_PAYEE, STEPS, STEPS_HOT, PLAIN, DBOS)

# The phases of a run beside its cases, by their value for `--only`.
PHASES = {
    "h": "reads under write load",
    "start": "start of the stack",
    "sign-ins": "transfers one after the other, alone and beside 60 sign-ins in flight",
    "memory": "memory over 20,000 transfers",
    "scale": "1, 2 and 4 worker processes",
    "events": "transfers with events and one idle endpoint, beside transfers without events",
    "batches": "chunks beside one transaction each; 10,000 over HTTP beside singles, and singles while a batch runs",
}

# What the phase `batches` measures.
CHUNKS_UNIFORM, CHUNKS_HOT = "chunks of 500", "chunks of 500, one payer"
EACH_UNIFORM, EACH_HOT = "one transaction each", "one transaction each, one payer"
BATCH_OVER_HTTP, SINGLES = "batch of 10,000 over HTTP", "singles over HTTP, one payer"
BESIDE = "singles beside a batch"

LETTERS = (*dict.fromkeys(case.letter for case in CASES), *PHASES)


@dataclass(frozen=True, slots=True)
class Level:
    """The number in flight. 1 is a closed loop on an idle machine: each request follows the last answer."""

    in_flight: int
    rounds: int
    seconds: float
    cases: Sequence[Case]
    lead_in: float = 1.0

    def load(self, case: Case, seed: int) -> Load:
        """The load of one round."""
        flood = HTTP_FLOOD if case.over_http else DIRECT_FLOOD
        rate = None if self.in_flight == 1 else flood
        lead_in = self.lead_in / 4 if case.letter in LEDGER_ALONE else self.lead_in
        return Load(self.in_flight, self.seconds + lead_in, rate, seed, lead_in, expected=case.expected)


@dataclass(frozen=True, slots=True)
class Profile:
    """What a run measures, and for how long."""

    name: str
    accounts: int
    warm_up_seconds: float
    levels: Sequence[Level]
    phases: Sequence[str]
    half_rounds: int = 0
    """Rounds at half of the throughput with 30 in flight: latency at a load that the system can sustain."""


QUICK_PROFILE = Profile(
    name="quick",
    accounts=300,
    warm_up_seconds=1,
    levels=(Level(30, 3, 2, QUICK, 1.25), Level(1, 2, 3, (FLOOR_HTTP, TEXTBOOK, UNIFORM, DBOS), 0.2)),
    phases=(),
)
HTTP_YARDSTICKS = (FLOOR_HTTP, TEXTBOOK, UNIFORM, DBOS)
FULL_PROFILE = Profile(
    name="full",
    accounts=1000,
    warm_up_seconds=3,
    levels=(
        Level(30, 5, 4, (*QUICK, MILLION_ENTRIES), 2),
        Level(30, 2, 4, [case for case in CASES if case not in (*QUICK, MILLION_ENTRIES)], 2),
        # Long enough for more than a hundred answers of each case: with fewer, the p99 would be the slowest answer.
        Level(1, 5, 5, HTTP_YARDSTICKS, 0.2),
        Level(1, 2, 3, (FLOOR_EAGER, FLOOR_QUEUED, STEPS, PLAIN), 0.2),
        Level(8, 2, 4, (*HTTP_YARDSTICKS, STEPS, PLAIN)),
        Level(100, 2, 4, (*HTTP_YARDSTICKS, STEPS, PLAIN), 5),
    ),
    phases=("start", "h", "sign-ins", "memory", "scale", "events", "batches"),
    half_rounds=2,
)


def narrowed(profile: Profile, only: Sequence[str]) -> Profile:
    """The profile, reduced to these letters; unchanged without any."""
    if not only:
        return profile
    levels = [
        replace(level, cases=cases)
        for level in profile.levels
        if (cases := [case for case in level.cases if case.letter in only])
    ]
    phases = [phase for phase in FULL_PROFILE.phases if phase in only]
    return replace(profile, levels=levels, phases=phases)
