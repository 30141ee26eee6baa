"""From the command line to the results: sets the servers up, runs the phases, writes what was measured."""

import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from bench.cases import Profile
from bench.machine import commit, machine, versions
from bench.run import Progress as Shown
from bench.run import Run
from bench.servers import forget_settings, servers
from devenv.stack import Prepare

SCHEMA = 1
RESULTS = "results.json"


class _Terminal(Shown):
    """A line for every round, and below them what is going on now."""

    def __init__(self, console: Console, bar: Progress) -> None:
        self._console = console
        self._bar = bar
        self._task = bar.add_task("starting", total=None)
        self._what = ""

    def step(self, what: str) -> None:
        self._what = what
        self._bar.update(self._task, description=what)

    def going(self, sent: int, good: int) -> None:
        self._bar.update(self._task, description=f"{self._what}: {sent:,} sent, {good:,} as expected")

    def done(self, line: str) -> None:
        self._console.print(line, highlight=False, soft_wrap=True)


@contextmanager
def terminal(console: Console) -> Iterator[Shown]:
    """Progress while the block runs."""
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True) as bar:
        yield _Terminal(console, bar)


async def measure(profile: Profile, prepare: Prepare, out: Path, seed: int, command: str) -> dict[str, Any]:
    """Run the profile and write `results.json` into `out`. Raises `BooksBroken`, `JobFailed` or StackError.

    The servers live in a folder beside the results, on the same disk, and are gone at the end, however it comes.
    """
    forget_settings()
    console = Console(stderr=True)
    folder = _folder_for_servers(out)
    began = datetime.now(UTC)
    try:
        with terminal(console) as shown:
            async with servers(folder, prepare, profile.accounts, systems_of(profile), shown.done) as found:
                run = Run(found, profile, seed, shown)
                told = await versions(found.running.database_url, found.running.temporal_address)
                await phases(run, profile)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    results = {
        "schema": SCHEMA,
        "began": began.isoformat(timespec="seconds"),
        "took_seconds": round((datetime.now(UTC) - began).total_seconds()),
        "command": command,
        "profile": profile.name,
        "seed": seed,
        "accounts": profile.accounts,
        "commit": commit(),
        "machine": machine(),
        "versions": told,
        "rounds": run.recorder.rounds,
        "audits": run.recorder.audits,
    }
    (out / RESULTS).write_text(json.dumps(results, indent=1) + "\n")
    return results


def _folder_for_servers(out: Path) -> Path:
    out.mkdir(parents=True, exist_ok=True)
    state = Path(".remit").absolute()
    state.mkdir(mode=0o711, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix="bench-", dir=state))


async def phases(run: Run, profile: Profile) -> None:
    """Level by level."""
    for level in profile.levels:
        await run.level(level)


def systems_of(profile: Profile) -> Sequence[str]:
    """Those that the cases of a profile need."""
    return list(dict.fromkeys(case.system for level in profile.levels for case in level.cases))
