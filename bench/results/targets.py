"""The targets: mostly ratios of cases within one run, and whether a run met them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from bench.cases import BATCH_OVER_HTTP, BESIDE, CHUNKS_HOT, CHUNKS_UNIFORM, EACH_UNIFORM, SINGLES

Results = Mapping[str, Any]
Rounds = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Measured:
    """A figure of a run: the median of its rounds, and the least and the most."""

    middle: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Measured | None":
        """None where nothing was measured."""
        return cls(median(values), min(values), max(values)) if values else None


@dataclass(frozen=True, slots=True)
class Target:
    """The bound of a figure: a minimum if `at_least`, else a maximum."""

    name: str
    bound: float
    at_least: bool
    measure: Callable[[Results], Measured | None]
    unit: str = ""


def rounds_of(results: Results, case: str, level: str) -> Rounds:
    """The rounds of a case at one level, in order."""
    found = [entry for entry in results["rounds"] if entry["case"] == case and entry["level"] == level]
    return sorted(found, key=lambda entry: int(entry["round"]))


def figure(
    results: Results, case: str, level: str, read: Callable[[Mapping[str, Any]], float | None]
) -> Measured | None:
    """One figure of a case over its rounds."""
    values = [value for entry in rounds_of(results, case, level) if (value := read(entry)) is not None]
    return Measured.of(values)


def throughput(entry: Mapping[str, Any]) -> float:
    """Expected answers per second."""
    return float(entry["throughput"])


def latency(wanted: str) -> Callable[[Mapping[str, Any]], float | None]:
    """Reads a latency in milliseconds: `p50`, `p95`, `p99` or `max`."""

    def read(entry: Mapping[str, Any]) -> float | None:
        found = entry["latency_ms"][wanted]
        return None if found is None else float(found)

    return read


def ratio(
    upper: str,
    lower: str,
    level: str,
    read: Callable[[Mapping[str, Any]], float | None] = throughput,
    lower_level: str | None = None,
) -> Callable[[Results], Measured | None]:
    """`upper` divided by `lower` within each round, so that both ran on the machine in the same condition."""

    def measure(results: Results) -> Measured | None:
        pairs = zip(rounds_of(results, upper, level), rounds_of(results, lower, lower_level or level), strict=False)
        both = [(read(one), read(other)) for one, other in pairs]
        return Measured.of([one / other for one, other in both if one is not None and other])

    return measure


# Postings per transfer: a debit and a credit through clearing, or one posting between both accounts.
POSTINGS = {"e uniform": 2, "e hot": 2, "f": 1}


def postings_ratio(upper: str, lower: str, level: str) -> Callable[[Results], Measured | None]:
    """Postings per second of `upper` divided by those of `lower`, within each round."""

    def measure(results: Results) -> Measured | None:
        by_transfer = ratio(upper, lower, level)(results)
        if by_transfer is None:
            return None
        factor = POSTINGS[upper] / POSTINGS[lower]
        return Measured(by_transfer.middle * factor, by_transfer.least * factor, by_transfer.most * factor)

    return measure


def tail(case: str, level: str) -> Callable[[Results], Measured | None]:
    """The case's p99 divided by its own p50."""

    def measure(results: Results) -> Measured | None:
        both = [(latency("p99")(entry), latency("p50")(entry)) for entry in rounds_of(results, case, level)]
        return Measured.of([p99 / p50 for p99, p50 in both if p99 and p50])

    return measure


def seconds_of(case: str, level: str) -> Callable[[Results], Measured | None]:
    """How long each round of the case took."""
    return lambda results: figure(results, case, level, lambda entry: float(entry["seconds"]))


def other_answers(case: str, level: str) -> Callable[[Results], Measured | None]:
    """How many requests of all rounds got another answer than the expected one."""

    def count(results: Results) -> Measured | None:
        rounds = rounds_of(results, case, level)
        others = sum(sum(entry["answers"].values()) - entry["good"] for entry in rounds)
        return Measured.of([float(others)] if rounds else [])

    return count


def beside_p95(results: Results) -> Measured | None:
    """The latency of single transfers from the account that pays a batch meanwhile, in milliseconds."""
    return figure(results, BESIDE, "30", latency("p95"))


def start_seconds(results: Results) -> Measured | None:
    """Seconds from the command `remit run` to its line `ready`."""
    return Measured.of(results.get("start_seconds", []))


def memory_growth(results: Results) -> Measured | None:
    """Memory growth of the API's process from the second quarter of the transfers to the last, in percent."""
    samples = [float(sample["resident_mb"]) for sample in results.get("memory", [])]
    quarter = len(samples) // 4
    if not quarter:
        return None
    before, after = median(samples[quarter : 2 * quarter]), median(samples[-quarter:])
    return Measured.of([(after / before - 1) * 100])


TARGETS: Sequence[Target] = (
    Target("throughput, 30 in flight: c / b", 3, True, ratio("c", "b", "30")),
    Target("throughput, 30 in flight: c / a'", 0.7, True, ratio("c", "a'", "30")),
    Target("throughput, 30 in flight: c / g", 1.3, True, ratio("c", "g", "30")),
    Target("throughput, 30 in flight: hot payee / c", 0.8, True, ratio("d hot payee", "c", "30")),
    Target("latency p50, idle machine: c / a'", 1.5, False, ratio("c", "a'", "1", latency("p50"))),
    Target("latency, idle machine: c, p99 / p50", 4, False, tail("c", "1")),
    Target("postings per second, 30 in flight: e uniform / f", 0.5, True, postings_ratio("e uniform", "f", "30")),
    Target("postings per second, 30 in flight: e hot / e uniform", 0.5, True, ratio("e hot", "e uniform", "30")),
    Target("throughput, 30 in flight: i / c", 0.9, True, ratio("i", "c", "30")),
    Target("throughput, 30 in flight: with events / without", 0.95, True, ratio("with events", "without events", "30")),
    Target("batches: chunks of 500 / one transaction each", 5, True, ratio(CHUNKS_UNIFORM, EACH_UNIFORM, "direct")),
    Target("batches: chunks of 500, one payer / uniform", 0.9, True, ratio(CHUNKS_HOT, CHUNKS_UNIFORM, "direct")),
    Target("batches: 10,000 over HTTP, to the last outcome", 5, False, seconds_of(BATCH_OVER_HTTP, "1"), "s"),
    Target(
        "batches: over HTTP / singles, 30 in flight", 40, True, ratio(BATCH_OVER_HTTP, SINGLES, "1", lower_level="30")
    ),
    Target("batches: a single on the account beside, p95", 300, False, beside_p95, "ms"),
    Target("batches: singles beside that did not complete", 0, False, other_answers(BESIDE, "30")),
    Target("memory of API and worker over 20,000 transfers", 10, False, memory_growth, "% growth"),
    Target("start of the stack", 8, False, start_seconds, "s"),
)


def verdicts(results: Results) -> list[dict[str, Any]]:
    """Each target with its measured figure. `holds` is None if its cases did not run."""
    rows = []
    for target in TARGETS:
        measured = target.measure(results)
        holds = None
        if measured is not None:
            holds = measured.middle >= target.bound if target.at_least else measured.middle <= target.bound
        rows.append(
            {
                "name": target.name,
                "target": f"{'≥' if target.at_least else '≤'} {target.bound:g} {target.unit}".rstrip(),
                "measured": asdict(measured) if measured else None,
                "unit": target.unit,
                "holds": holds,
            }
        )
    return rows
