"""What `remit bench` does with its options."""

import asyncio
import importlib.util
import json
import sys
from pathlib import Path

from bench.cases import FULL_PROFILE, LETTERS, QUICK_PROFILE, narrowed
from bench.measurement import SCHEMA, measure
from bench.results.report import write_report
from bench.results.targets import Results
from bench.results.terminal import print_results
from devenv.stack import Prepare


class Mistake(Exception):
    """An option is invalid, or a package that the benchmark needs is missing."""


async def run_bench(prepare: Prepare, *, quick: bool, only: str, out: Path, seed: int, report: Path | None) -> None:
    """Measure, or read the results in `report`; print them, and write the page and its charts into `out`.

    Raises `Mistake` before anything is started, and `BooksBroken` or `JobFailed` if the run has to stop.
    """
    if missing := [name for name in ("dbos", "matplotlib") if importlib.util.find_spec(name) is None]:
        raise Mistake(f"{' and '.join(missing)} must be installed: `make bench` does, from requirements-bench.txt.")
    if report is not None:
        _show(await asyncio.to_thread(_results_in, report), out)
        return
    letters = [letter.strip() for letter in only.split(",") if letter.strip()]
    if unknown := [letter for letter in letters if letter not in LETTERS]:
        raise Mistake(f"--only {','.join(unknown)}: the cases are {', '.join(LETTERS)}.")
    profile = narrowed(QUICK_PROFILE if quick else FULL_PROFILE, letters)
    command = " ".join(["remit", *sys.argv[1:]])
    _show(await measure(profile, prepare, out, seed, command), out)


def _results_in(path: Path) -> Results:
    try:
        results = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise Mistake(f"--report {path}: {error}") from error
    if not isinstance(results, dict) or results.get("schema") != SCHEMA:
        raise Mistake(f"--report {path}: this file has no results of this version.")
    return results


def _show(results: Results, out: Path) -> None:
    write_report(results, out)
    print_results(results)
