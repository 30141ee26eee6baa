"""Targets, tables and the page come from the rounds of a run, and say what did not run."""

from collections.abc import Mapping
from io import StringIO
from typing import Any

from rich.console import Console

from bench.results.report import page
from bench.results.targets import verdicts
from bench.results.terminal import WIDTH, print_results


def recorded(case: str, level: str, number: int, throughput: float, p50: float = 10.0, **more: Any) -> dict[str, Any]:
    return {
        "case": case,
        "level": level,
        "round": number,
        "load": {"expected": "201 completed"},
        "sent": 110,
        "unsent": 1234,
        "good": 100,
        "answers": {"201 completed": 100, "202 debited": 10},
        "seconds": 2.0,
        "throughput": throughput,
        "latency_ms": {"p50": p50, "p95": 2 * p50, "p99": 3 * p50, "max": 4 * p50},
        "cpu_seconds": {"system": 2.0, "Temporal": 1.0, "PostgreSQL": 0.5, "load generator": 0.1},
        "memory_mb": {"system": 120.4},
        **more,
    }


def results(*rounds: dict[str, Any], **besides: Any) -> dict[str, Any]:
    return {
        "schema": 1,
        "began": "2026-01-01T00:00:00+00:00",
        "took_seconds": 125,
        "command": "remit bench",
        "profile": "full",
        "seed": 1,
        "commit": "0123456789ab",
        "machine": {"cpu": "a CPU", "cores": 2},
        "versions": {"PostgreSQL": "18.4"},
        "rounds": list(rounds),
        "audits": [{"system": "remit", "clean": True, "entries": 20, "transfers": {"completed": 10}}],
        **besides,
    }


def judged(found: Mapping[str, Any]) -> dict[str, Any]:
    return {verdict["name"]: verdict for verdict in verdicts(found)}


def test_a_ratio_is_formed_within_each_round_and_its_median_taken() -> None:
    machine_slows_down = [(90.0, 30.0), (60.0, 15.0), (40.0, 10.0)]
    rounds = [
        recorded(case, "30", number, rate)
        for number, rates in enumerate(machine_slows_down)
        for case, rate in zip("cb", rates, strict=True)
    ]
    verdict = judged(results(*reversed(rounds)))["throughput, 30 in flight: c / b"]
    assert verdict["measured"] == {"middle": 4.0, "least": 3.0, "most": 4.0}
    assert verdict["holds"] is True


def test_a_target_whose_case_did_not_run_neither_holds_nor_misses() -> None:
    found = verdicts(results(recorded("c", "30", 0, 10)))
    assert {verdict["holds"] for verdict in found} == {None}


def test_latency_targets_are_upper_bounds() -> None:
    rounds = recorded("c", "1", 0, 50, p50=20.0), recorded("a'", "1", 0, 100, p50=10.0)
    found = judged(results(*rounds))
    assert found["latency p50, idle machine: c / a'"]["holds"] is False
    assert found["latency, idle machine: c, p99 / p50"]["holds"] is True


def test_memory_is_flat_by_the_second_and_the_last_quarter() -> None:
    def growing(last: float) -> list[dict[str, float]]:
        values = [50.0] * 10 + [100.0] * 20 + [last] * 10
        return [{"transfers": float(count), "resident_mb": value} for count, value in enumerate(values)]

    name = "memory of API and worker over 20,000 transfers"
    assert judged(results(memory=growing(109)))[name]["holds"] is True
    assert judged(results(memory=growing(111)))[name]["holds"] is False


def test_the_tables_fit_a_terminal_and_show_what_was_not_sent_or_not_answered_as_expected() -> None:
    rounds = [
        recorded("d ten accounts", level, number, 12_345.6, p50=1234.5)
        for level in ("1", "8", "half", "30", "100")
        for number in range(2)
    ]
    written = StringIO()
    print_results(results(*rounds), Console(file=written, width=WIDTH))
    assert "…" not in written.getvalue()
    line = next(line for line in written.getvalue().splitlines() if " half " in line)
    assert line.split()[-2:] == ["20", "2,468"]
    assert "20.0" in line, "CPU milliseconds of the system for a transfer"


def test_the_page_has_targets_figures_charts_cases_and_the_machine() -> None:
    written = page(
        results(recorded("c", "1", 0, 50), start_seconds=[4.0, 4.2], first_start_seconds=[9.0]),
        [("cpu.svg", "CPU per transfer by process")],
    )
    assert "| start of the stack | ≤ 8 s | 4.10 | 4.00-4.20 | holds |" in written
    assert "| c | 1 | 50.0 |" in written
    assert "![CPU per transfer by process](cpu.svg)" in written
    assert "| PostgreSQL | 18.4 |" in written
    assert "2 min 5 s" in written
