"""Results as charts: SVG files whose text stays text."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from bench.cases import (
    BATCH_OVER_HTTP,
    CASES,
    CHUNKS_HOT,
    CHUNKS_UNIFORM,
    EACH_HOT,
    EACH_UNIFORM,
    LEDGER_ALONE,
    SINGLES,
)
from bench.results.targets import Measured, Results, rounds_of
from bench.results.terminal import GROUPS, figures_of

STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "remit",
    "font.family": "sans-serif",
    "font.sans-serif": ["Helvetica", "Arial", "DejaVu Sans"],
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "grid.color": "#e4e4e4",
    "figure.facecolor": "white",
}
REMIT, OTHER = "#1f6feb", "#9aa4b2"
COLOURS = ("#1f6feb", "#d2691e", "#2e8b57", "#b0b7c3")
WIDTH, ROW = 8.2, 0.42
LABELS = {case.name: case.label for case in CASES}
REMITS = {case.name for case in CASES if case.system.startswith("remit")}


def draw(results: Results, folder: Path) -> list[tuple[str, str]]:
    """Write every chart that the results have figures for: (file name, what it shows)."""
    made = []
    with mpl.rc_context(STYLE):
        for name, what, chart in (
            ("throughput.svg", "Transfers per second with 30 in flight, by case", throughput_chart(results)),
            ("ledger.svg", "Transfers per second of the ledger alone, 30 in flight", ledger_chart(results)),
            ("latency.svg", "Latency on an idle machine, p50 and p99", latency_chart(results)),
            ("cpu.svg", "CPU per transfer by process", cpu_chart(results)),
            ("loads.svg", "Throughput by the number of transfers in flight", loads_chart(results)),
            ("batches.svg", "Transfers per second in batches, and one by one", batches_chart(results)),
            ("memory.svg", "Memory of API and worker over 20,000 transfers", memory_chart(results)),
        ):
            if chart is not None:
                chart.savefig(folder / name, format="svg", bbox_inches="tight", metadata={"Date": None})
                made.append((name, what))
    return made


def throughput_chart(results: Results) -> Figure | None:
    """A bar for each case over HTTP, or with Temporal, and a whisker from its least to its most."""
    return _bars(results, [case.name for case in CASES if case.letter not in LEDGER_ALONE], "transfers per second")


def ledger_chart(results: Results) -> Figure | None:
    """The same for the cases without a workflow engine, which need another scale."""
    return _bars(results, [case.name for case in CASES if case.letter in LEDGER_ALONE], "transfers per second")


def latency_chart(results: Results) -> Figure | None:
    """A dot for p50 and one for p99, on a logarithmic axis: equal distances are equal ratios."""
    found = _found(results, [case.name for case in CASES], "1", ("p50", "p99"))
    if not found:
        return None
    figure, axes = _rows(len(found))
    for place, (name, (p50, p99)) in enumerate(found):
        colour = _colour(name)
        axes.plot([p50.middle, p99.middle], [place, place], color=colour, linewidth=2, alpha=0.5)
        axes.plot(p50.middle, place, "o", color=colour, markersize=8)
        axes.plot(p99.middle, place, "o", color=colour, markersize=8, markerfacecolor="white", markeredgewidth=2)
        axes.text(p99.middle * 1.12, place, f"{p50.middle:.1f} → {p99.middle:.1f}", va="center", fontsize=9)
    axes.set_xscale("log")
    axes.set_xlim(right=axes.get_xlim()[1] * 2.2)
    axes.set_ylim(-0.6, len(found) - 0.4)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    _label(axes, [name for name, _ in found], "milliseconds, one at a time: filled p50, hollow p99")
    return figure


def cpu_chart(results: Results) -> Figure | None:
    """Stacked bars: the CPU that each group of processes uses for one transfer."""
    found = _found(results, [case.name for case in CASES], "30", GROUPS)
    if not found:
        return None
    figure, axes = _rows(len(found))
    left = [0.0] * len(found)
    for group, colour, place in zip(GROUPS, COLOURS, range(len(GROUPS)), strict=True):
        widths = [figures[place].middle for _, figures in found]
        axes.barh(range(len(found)), widths, left=left, height=0.62, color=colour, label=_GROUP_NAMES[group])
        left = [before + width for before, width in zip(left, widths, strict=True)]
    for place, total in enumerate(left):
        axes.text(total + max(left) * 0.01, place, f"{total:.1f}", va="center", fontsize=9)
    axes.legend(loc="lower right", frameon=False)
    _label(axes, [name for name, _ in found], "CPU milliseconds per transfer, 30 in flight")
    return figure


def loads_chart(results: Results) -> Figure | None:
    """A line for each of the main cases over 1, 8, 30 and 100 in flight."""
    levels = ("1", "8", "30", "100")
    lines = {}
    for name in ("a'", "b", "c", "g"):
        rates = [(level, figures_of(results, name, level)["throughput"]) for level in levels]
        points = [(levels.index(level), rate.middle) for level, rate in rates if rate]
        if len(points) > 1:
            lines[name] = points
    if not lines:
        return None
    figure = Figure(figsize=(WIDTH, 3.6))
    axes = figure.add_subplot()
    for (name, points), colour in zip(lines.items(), ("#9aa4b2", "#d2691e", REMIT, "#2e8b57"), strict=False):
        axes.plot(*zip(*points, strict=True), "o-", color=colour, linewidth=2)
        axes.text(points[-1][0] + 0.06, points[-1][1], LABELS[name], color=colour, va="center", fontweight="bold")
    axes.set_xticks(range(len(levels)), levels)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("in flight")
    axes.set_ylabel("transfers per second")
    return figure


def batches_chart(results: Results) -> Figure | None:
    """A bar for each way of paying many, on a logarithmic axis: equal distances are equal ratios."""
    found = [
        (name, rate) for name, level in _BATCHES if (rate := figures_of(results, name, level)["throughput"]) is not None
    ]
    if not found:
        return None
    figure, axes = _rows(len(found))
    for place, (name, rate) in enumerate(found):
        axes.barh(place, rate.middle, height=0.62, color=OTHER if name in _ONE_BY_ONE else REMIT)
        axes.plot([rate.least, rate.most], [place, place], color="#24292f", linewidth=1.2)
        axes.text(rate.most * 1.08, place, f"{rate.middle:,.0f}", va="center", fontsize=9)
    axes.set_xscale("log")
    axes.set_xlim(right=axes.get_xlim()[1] * 1.6)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    _label(axes, [name for name, _ in found], "transfers per second: median of the rounds, line from least to most")
    return figure


def memory_chart(results: Results) -> Figure | None:
    """Resident memory during many transfers."""
    samples: Sequence[dict[str, Any]] = results.get("memory", [])
    if not samples:
        return None
    figure = Figure(figsize=(WIDTH, 2.8))
    axes = figure.add_subplot()
    axes.plot(
        [sample["transfers"] for sample in samples],
        [sample["resident_mb"] for sample in samples],
        color=REMIT,
        linewidth=2,
    )
    axes.set_ylim(0, max(sample["resident_mb"] for sample in samples) * 1.25)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.set_xlabel("transfers completed")
    axes.set_ylabel("MB resident")
    return figure


_BATCHES = (
    (CHUNKS_UNIFORM, "direct"),
    (CHUNKS_HOT, "direct"),
    (EACH_UNIFORM, "direct"),
    (EACH_HOT, "direct"),
    (BATCH_OVER_HTTP, "1"),
    (SINGLES, "30"),
)
_ONE_BY_ONE = (EACH_UNIFORM, EACH_HOT, SINGLES)

_GROUP_NAMES = {
    "system": "the system's own process",
    "Temporal": "Temporal server",
    "PostgreSQL": "PostgreSQL",
    "load generator": "load generator",
}


def _bars(results: Results, names: Sequence[str], unit: str) -> Figure | None:
    found = _found(results, names, "30", ("throughput",))
    if not found:
        return None
    figure, axes = _rows(len(found))
    for place, (name, (rate,)) in enumerate(found):
        axes.barh(place, rate.middle, height=0.62, color=_colour(name))
        axes.plot([rate.least, rate.most], [place, place], color="#24292f", linewidth=1.2)
        axes.text(max(rate.most, rate.middle) * 1.02, place, f"{rate.middle:,.0f}", va="center", fontsize=9)
    _label(axes, [name for name, _ in found], f"{unit}: median of the rounds, line from least to most")
    return figure


def _found(
    results: Results, names: Sequence[str], level: str, columns: Sequence[str]
) -> list[tuple[str, list[Measured]]]:
    """The cases that have all of these figures."""
    found = []
    for name in names:
        if rounds_of(results, name, level):
            figures = figures_of(results, name, level)
            values = [value for column in columns if (value := figures[column]) is not None]
            if len(values) == len(columns):
                found.append((name, values))
    return found


def _rows(number: int) -> tuple[Figure, Any]:
    figure = Figure(figsize=(WIDTH, 1 + ROW * number))
    return figure, figure.add_subplot()


def _label(axes: Any, names: Sequence[str], unit: str) -> None:
    axes.set_yticks(range(len(names)), [LABELS.get(name, name) for name in names])
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(unit)


def _colour(name: str) -> str:
    return REMIT if name in REMITS or name.startswith("e ") else OTHER
