"""Results as tables for a terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from bench.results.targets import Measured, Results, figure, latency, throughput, verdicts

WIDTH = 120
WHOLE_FROM = 100  # figures from this value on are shown without decimals
GROUPS = ("system", "Temporal", "PostgreSQL", "load generator")
LEVELS = ("1", "8", "half", "30", "100")


def cases_of(results: Results) -> Sequence[tuple[str, str]]:
    """Every measured (case, level), sorted by level, then in the order of the run."""
    found = dict.fromkeys((entry["case"], entry["level"]) for entry in results["rounds"])
    known = {level: place for place, level in enumerate(LEVELS)}
    return sorted(found, key=lambda one: known.get(one[1], len(known)))


def cpu_ms(group: str) -> Any:
    """CPU milliseconds of a group of processes for one transfer."""

    def read(entry: Mapping[str, Any]) -> float | None:
        used = entry["cpu_seconds"].get(group)
        return float(used) * 1000 / entry["good"] if used is not None and entry["good"] else None

    return read


def figures_of(results: Results, case: str, level: str) -> dict[str, Measured | None]:
    """The columns of the table of figures."""
    found = {"throughput": figure(results, case, level, throughput)}
    found |= {name: figure(results, case, level, latency(name)) for name in ("p50", "p95", "p99")}
    found |= {group: figure(results, case, level, cpu_ms(group)) for group in GROUPS}
    return found | {"memory": figure(results, case, level, lambda entry: entry["memory_mb"].get("system"))}


def other_answers(results: Results, case: str, level: str) -> int:
    """The number of answers other than the expected one, over all rounds."""
    chosen = [entry for entry in results["rounds"] if (entry["case"], entry["level"]) == (case, level)]
    return sum(sum(entry["answers"].values()) - entry["good"] for entry in chosen)


def unsent(results: Results, case: str, level: str) -> int:
    """The number of requests that were not sent because the maximum was in flight, over all rounds."""
    chosen = [entry for entry in results["rounds"] if (entry["case"], entry["level"]) == (case, level)]
    return sum(int(entry["unsent"]) for entry in chosen)


def print_results(results: Results, console: Console | None = None) -> None:
    """Print the figures, then the targets."""
    console = console or Console(width=WIDTH)
    console.print(_figures(results))
    console.print(_targets(results))


def _figures(results: Results) -> Table:
    table = Table(
        title="Medians of the rounds. CPU: milliseconds per transfer, of the system, Temporal, PostgreSQL, the load.",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1),
        collapse_padding=True,
        pad_edge=False,
    )
    for name in ("case", "load", "per s", "least-most", "p50 ms", "p95", "p99"):
        table.add_column(name, justify="left" if name == "case" else "right", no_wrap=True)
    for name in ("sys", "Tmp", "Pg", "gen", "MB", "other", "unsent"):
        table.add_column(name, justify="right", no_wrap=True)
    for case, level in cases_of(results):
        found = figures_of(results, case, level)
        rate = found["throughput"]
        spread = f"{rate.least:,.0f}-{rate.most:,.0f}" if rate else ""
        table.add_row(
            case,
            level,
            text(rate),
            spread,
            *(text(found[name]) for name in ("p50", "p95", "p99", *GROUPS)),
            text(found["memory"], 0),
            str(other_answers(results, case, level) or "-"),
            f"{unsent(results, case, level):,}",
        )
    return table


def _targets(results: Results) -> Table:
    table = Table(title="Targets", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("target", "wanted", "measured", "least-most", ""):
        table.add_column(name, justify="left" if name in ("target", "") else "right", no_wrap=True)
    for row in verdicts(results):
        measured = row["measured"]
        values = ("-", "") if measured is None else (f"{measured['middle']:.2f}", spread_of(measured))
        table.add_row(
            row["name"], row["target"], *values, {True: "holds", False: "MISSES", None: "not run"}[row["holds"]]
        )
    return table


def spread_of(measured: Mapping[str, float]) -> str:
    """The range from the least to the most."""
    return f"{measured['least']:.2f}-{measured['most']:.2f}"


def text(measured: Measured | None, digits: int = 1) -> str:
    """The figure as text, rounded and with thousands separated."""
    if measured is None:
        return "-"
    return f"{measured.middle:,.{0 if measured.middle >= WHOLE_FROM else digits}f}"
