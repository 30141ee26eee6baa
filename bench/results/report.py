"""Results as a page: targets, charts, every figure, and how to reproduce them."""

from collections.abc import Sequence
from pathlib import Path

from bench.cases import CASES, PHASES
from bench.results.targets import Results, verdicts
from bench.results.terminal import GROUPS, cases_of, figures_of, other_answers, spread_of, text, unsent

PAGE = "README.md"
INTRODUCTION = """\
# Benchmarks

What a transfer costs, beside what it could cost: Temporal's floor, a textbook saga, DBOS, and one SQL transaction, all
on the same servers in the same run. This page is written by `remit bench`; do not edit it.

```sh
make bench         # all of it, and this page
make bench-quick   # what matters most, in under three minutes
remit bench --only c,g --out somewhere
remit bench --report docs/benchmarks/results.json --out docs/benchmarks   # this page again, from the results
```
"""
METHOD = """\
## How it is measured

- One machine, one PostgreSQL (fsync on, a database for each system) and one Temporal server as `remit run` starts
  them. Remit is `remit api --with-worker` with default settings; every other system is a process of its own.
- The load is open: requests are due at random times at a fixed rate, and a limited number is in flight. A request
  that is due while that number is in flight is not sent, and counted as *unsent*. Latency is measured from the time a
  request was due. "30 in flight" is a rate far above the throughput of any system; "1" is a closed loop on an idle
  machine; "half" is a fixed rate at half of the case's throughput with 30 in flight.
- Only expected answers count: over HTTP, 201 with `completed`. All others are in the column *other*.
- Cases take turns in short rounds, each beginning with another case. A figure is the median of its rounds, with the
  least and the most beside it. A ratio is computed within each round, so that both cases ran on the machine in
  the same condition; its figure is the median.
- In the first seconds of a round the number of requests in flight rises step by step. They are not measured.
- CPU is user and system time of all processes of a group, divided by completed transfers. If a case is called
  directly, the load comes from the system's own process.
- A posting is one balanced fact: an amount leaves one account for another. *e* writes two for each transfer,
  through clearing, in three transactions (open, debit, credit); *f* writes one, in one transaction. Both
  have 20 connections.
- *b* and *g* run Remit's own ledger steps: open, debit, credit and notify; screening is a pure rule and costs
  nothing. They answer once the notification is written, Remit once the money has arrived.
- *i* is case c on books with a million entries, which COPY wrote with the same hash chains as the ledger's.
- *with events* has one webhook endpoint that wants none of them. *without events* has the triggers off, and a worker
  that numbers nothing and runs no sink: no setting of the product does that.
- *chunks of 500* and *one transaction each* run the statements of batches on books of their own, called directly: one
  chunk after the other, and one transfer in each of 16 transactions at once. A batch over HTTP is timed from its
  request until it says that it is completed; the next round waits until its events are delivered. *singles beside a
  batch* are paid from the account that pays the batch.
- Memory is flat if the median of the last quarter of 20,000 transfers is at most 10 % above that of the second
  quarter.
- Every ledger is audited after each group of rounds, by the same SQL as `remit verify`; a violation ends
  the run with exit code 1.
"""


def page(results: Results, charts: Sequence[tuple[str, str]]) -> str:
    """The page in Markdown. `charts` are files beside it."""
    parts = [INTRODUCTION, _targets(results)]
    parts += [f"## {what}\n\n![{what}]({name})\n" for name, what in charts]
    parts += [_figures(results), _besides(results), _cases(), METHOD, _machine(results)]
    return "\n".join(part for part in parts if part)


def write_report(results: Results, folder: Path) -> None:
    """The page and its charts."""
    from bench.results.charts import draw  # noqa: PLC0415 - only the bench's requirements have matplotlib

    folder.mkdir(parents=True, exist_ok=True)
    (folder / PAGE).write_text(page(results, draw(results, folder)))


def _targets(results: Results) -> str:
    rows = []
    for row in verdicts(results):
        measured = row["measured"]
        figures = ("–", "–") if measured is None else (f"{measured['middle']:.2f}", spread_of(measured))  # noqa: RUF001
        verdict = {True: "holds", False: "**misses**", None: "not run"}[row["holds"]]
        rows.append((row["name"], row["target"], *figures, verdict))
    return "## Targets\n\n" + _table(("target", "wanted", "measured", "least to most", ""), rows)


def _figures(results: Results) -> str:
    columns = ["case", "in flight", "per s", "least to most", "p50 ms", "p95 ms", "p99 ms"]
    columns += [*(f"CPU ms: {group}" for group in GROUPS), "MB", "other", "unsent"]
    rows = []
    for case, level in cases_of(results):
        found = figures_of(results, case, level)
        rate = found["throughput"]
        rows.append(
            (
                case,
                level,
                text(rate),
                f"{rate.least:,.0f}-{rate.most:,.0f}" if rate else "",
                *(text(found[name]) for name in ("p50", "p95", "p99", *GROUPS)),
                text(found["memory"], 0),
                f"{other_answers(results, case, level):,}",
                f"{unsent(results, case, level):,}",
            )
        )
    return "## All figures\n\n" + _table(columns, rows)


def _besides(results: Results) -> str:
    lines = []
    if started := results.get("start_seconds"):
        first = results["first_start_seconds"][0]
        times = ", ".join(f"{seconds:.1f} s" for seconds in started)
        lines.append(
            f"`remit run` was ready after {times}; the very first time, with new databases, after {first:.1f} s."
        )
    entries = sum(int(found["entries"]) for found in results["audits"])
    lines.append(f"{len(results['audits'])} audits over {entries:,} entries in all found every invariant kept.")
    return "\n\n".join(lines) + "\n"


def _cases() -> str:
    rows = [(f"`{case.letter}`", case.name, case.title) for case in CASES]
    rows += [(f"`{letter}`", letter, title) for letter, title in PHASES.items()]
    return "## Cases\n\n" + _table(("`--only`", "case", "what it is"), rows)


def _machine(results: Results) -> str:
    rows = [(name, str(value)) for name, value in (results["machine"] | results["versions"]).items()]
    took = f"{results['took_seconds'] // 60} min {results['took_seconds'] % 60} s"
    rows += [("command", f"`{results['command']}`"), ("seed", str(results["seed"])), ("took", took)]
    rows += [("began", results["began"]), ("commit", results["commit"])]
    return "## Machine and versions\n\n" + _table(("", ""), rows)


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cells) + " |"

    return "\n".join([line(columns), "|" + "---|" * len(columns), *map(line, rows)]) + "\n"
