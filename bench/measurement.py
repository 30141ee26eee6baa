"""Runs a benchmark: starts the servers, runs the levels and phases, writes the results."""

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

from bench import phases
from bench.cases import BATCHES, HTTP_YARDSTICKS, MILLION, WITH_EVENTS, WITHOUT_EVENTS, Profile
from bench.event_cost import transfers_with_and_without_events
from bench.machine import commit, cpu_times, machine, versions
from bench.run import Progress as Shown
from bench.run import Run
from bench.servers import GENERATORS, forget_settings, servers
from bench.traffic.batches import batches_and_singles
from devenv.stack import Prepare

SCHEMA = 1
RESULTS = "results.json"
FLOOD = 30  # the level of the targets
# The number of rounds of a phase, and the seconds of each.
ROUNDS, SECONDS = 2, 3.0
BATCH_ROUNDS = 3
# Long enough for a hundred transfers, also where one takes a tenth of a second.
SIGN_IN_SECONDS = 10.0


class _Terminal(Shown):
    """Shows a line for every round, and below them the present step."""

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
    """Shows the progress during the block."""
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True) as bar:
        yield _Terminal(console, bar)


async def measure(profile: Profile, prepare: Prepare, out: Path, seed: int, command: str) -> dict[str, Any]:
    """Run the profile and write `results.json` into `out`. Raises `BooksBroken`, `JobFailed` or StackError.

    The servers run in a folder below `.remit`, which is always removed at the end. If the run fails, their logs are
    kept beside the results.
    """
    forget_settings()
    console = Console(stderr=True)
    folder = _folder_for_servers(out)
    began, cpu_before = datetime.now(UTC), cpu_times()
    try:
        with terminal(console) as shown:
            started = await phases.start_times(folder) if "start" in profile.phases else []
            async with servers(folder, prepare, profile.accounts, systems_of(profile), shown.done) as found:
                run = Run(found, profile, seed, shown)
                server_versions = await versions(found.running.database_url, found.running.temporal_address)
                found_besides = await measured(run, profile)
    except Exception as error:
        error.add_note(f"The logs of all servers are in {_keep_logs(folder, out)}.")
        raise
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
        "machine": machine(cpu_before),
        "versions": server_versions,
        "first_start_seconds": started[:1],
        "start_seconds": started[1:],
        **found_besides,
        "rounds": run.recorder.rounds,
        "audits": run.recorder.audits,
    }
    (out / RESULTS).write_text(json.dumps(results, indent=1) + "\n")
    return results


def _keep_logs(folder: Path, out: Path) -> Path:
    kept = out / "log"
    shutil.rmtree(kept, ignore_errors=True)
    for logs in (folder / "log", folder / "home" / "log"):
        if logs.is_dir():
            shutil.copytree(logs, kept, dirs_exist_ok=True)
    return kept


def _folder_for_servers(out: Path) -> Path:
    out.mkdir(parents=True, exist_ok=True)
    state = Path(".remit").absolute()
    state.mkdir(mode=0o711, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix="bench-", dir=state))


async def measured(run: Run, profile: Profile) -> dict[str, Any]:
    """Run all levels and phases. Returns the results that are not rounds."""
    found: dict[str, Any] = {}
    if MILLION in systems_of(profile):
        await phases.start_million(run)
    for level in profile.levels:
        await run.level(level)
        if level.in_flight == FLOOD and profile.half_rounds:
            cases = [case for case in HTTP_YARDSTICKS if case in level.cases]
            await run.half(cases, profile.half_rounds, 1.5 * level.seconds)
    if "h" in profile.phases:
        await phases.reads_under_writes(run, ROUNDS, SECONDS)
    await run.servers.stop([name for name in run.servers.processes if name not in GENERATORS])
    if "sign-ins" in profile.phases:
        await phases.transfers_beside_sign_ins(run, ROUNDS, SIGN_IN_SECONDS)
    if "memory" in profile.phases:
        found["memory"] = await phases.memory(run)
    if "scale" in profile.phases:
        await phases.scale(run, ROUNDS, SECONDS)
    if "events" in profile.phases:
        await transfers_with_and_without_events(run)
    if "batches" in profile.phases:
        await batches_and_singles(run, BATCH_ROUNDS)
    return found


def systems_of(profile: Profile) -> Sequence[str]:
    """The systems that the cases and phases of a profile need."""
    found = [case.system for level in profile.levels for case in level.cases]
    if "events" in profile.phases:
        found += [WITH_EVENTS, WITHOUT_EVENTS]
    if "batches" in profile.phases:
        found.append(BATCHES)
    return list(dict.fromkeys(found))
