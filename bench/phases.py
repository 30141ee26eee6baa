"""The phases of a run with rounds of their own: full books, reads, memory, more workers, and the start."""

import asyncio
import os
import sys
import time
from pathlib import Path
from typing import Any

from bench.cases import MILLION, REMIT, UNIFORM, Case
from bench.postgres.million import fill_with_entries
from bench.processes import resident_mb
from bench.run import Run
from bench.traffic.generator import READS, SIGN_IN, TRANSFER
from bench.traffic.jobs import Job, ask
from bench.traffic.load import Load
from devenv.processes.ports import free_port
from devenv.processes.process import Child, Process
from devenv.stack import PROJECT

ENTRIES = 1_000_000
SIGN_INS_AT_ONCE = 60
MEMORY_TRANSFERS = 20_000
MEMORY_SECONDS = 600
STARTS = 3
START_SECONDS = 120
WORKERS = (1, 2, 4)


async def start_million(run: Run) -> None:
    """Fill the books of case i and start its API, with a task queue of its own."""
    servers = run.servers

    def progress(entries: int) -> None:
        run.progress.step(f"filling the books: {entries:,} of {ENTRIES:,} entries")

    began = time.perf_counter()
    await fill_with_entries(servers.database_url(MILLION), servers.fingerprints, ENTRIES, run.seed, progress)
    run.progress.done(f"filled books with {ENTRIES:,} entries in {time.perf_counter() - began:.0f} s")
    url = servers.database_url(MILLION)
    await servers.start_remit(
        MILLION, ["api", "--with-worker"], free_port(), database_url=url, task_queue="transfers-million"
    )


async def reads_under_writes(run: Run, rounds: int, seconds: float) -> None:
    """Measure each read, 1 and 8 at a time, while transfers arrive at half of the API's throughput."""
    ports = run.servers.ports
    rate = (run.recorder.throughput(UNIFORM.name, "30") or 20.0) / 2
    await run.warm_up(UNIFORM)
    for number in range(rounds):
        for way in READS:
            for at_once in (1, 8):
                name = f"h {way.removeprefix('GET ')}"
                run.progress.step(f"{name}, {at_once} in flight, round {number + 1}")
                expected = "200 completed" if way == "GET transfer" else "200"
                reads = Load(at_once, seconds, None, run.seed + number, 0.2, expected=expected)
                writes = Load(100, seconds, rate, run.seed + number)
                read, written = await asyncio.gather(
                    ask(ports["reads"], Job(reads, port=ports[REMIT], way=way)),
                    ask(ports["load"], Job(writes, port=ports[REMIT], way=TRANSFER)),
                )
                run.record(name, str(at_once), number, read)
                run.record(f"h writes, {name[2:]}", str(at_once), number, written)
    await run.check_books({REMIT})


async def transfers_beside_sign_ins(run: Run, rounds: int, seconds: float) -> None:
    """Measure transfers one after the other, alone and while many customers sign in, each from an own address.

    The process with API and worker is another one: it trusts the load generator to name those addresses.
    """
    name = "sign-ins/api"
    queue = {"task_queue": "transfers-sign-ins", "trusted_proxies": "127.0.0.1"}
    await run.servers.start_remit(name, ["api", "--with-worker"], free_port(), **queue)
    ports = run.servers.ports
    await run.ask(Case("sign-ins", "warm-up", "", name), Load(30, run.profile.warm_up_seconds, 1000, run.seed))
    lead_in = 1.0
    for number in range(rounds):
        transfers = Job(Load(1, seconds + lead_in, None, run.seed + number, lead_in), port=ports[name], way=TRANSFER)
        run.progress.step(f"transfers alone, round {number + 1}")
        run.record("sign-ins: transfers alone", "1", number, await ask(ports["load"], transfers))
        run.progress.step(f"transfers beside sign-ins, round {number + 1}")
        load = Load(SIGN_INS_AT_ONCE, seconds + lead_in, None, run.seed + number, lead_in, expected="200")
        let_in, written = await asyncio.gather(
            ask(ports["reads"], Job(load, port=ports[name], way=SIGN_IN)),
            ask(ports["load"], transfers),
        )
        run.record("sign-ins: transfers beside", "1", number, written)
        run.record("sign-ins", str(SIGN_INS_AT_ONCE), number, let_in)
    await run.servers.stop([name])
    await run.check_books({REMIT})


async def memory(run: Run) -> list[dict[str, Any]]:
    """The memory of the process with API and worker during transfers without a pause, 30 in flight."""
    samples: list[dict[str, Any]] = []
    pid = run.servers.pids(REMIT)[0]
    run.progress.step("memory")
    began = time.perf_counter()

    def sample(counts: dict[str, int]) -> None:
        run.progress.going(counts["sent"], counts["good"])
        taken = {"transfers": counts["good"], "seconds": round(time.perf_counter() - began, 1)}
        samples.append(taken | {"resident_mb": resident_mb(pid)})

    load = Load(30, MEMORY_SECONDS, 3000, run.seed, limit=MEMORY_TRANSFERS)
    tally = await ask(run.servers.ports["load"], Job(load, port=run.servers.ports[REMIT], way=TRANSFER), sample)
    run.record("memory", "30", 0, tally)
    await run.check_books({REMIT})
    return samples[:: max(len(samples) // 200, 1)]


async def scale(run: Run, rounds: int, seconds: float) -> None:
    """Measure an API process without a worker, together with 1, 2 and 4 worker processes."""
    servers, queue, running = run.servers, "transfers-scale", 0
    await servers.start_remit("scale/api", ["api"], free_port(), task_queue=queue)
    for wanted in WORKERS:
        while running < wanted:
            running += 1
            await servers.start_remit(f"scale/worker{running}", ["worker"], 0, task_queue=queue)
        case = Case("scale", f"c, {wanted} worker{'s' if wanted > 1 else ''}", "", "scale/api")
        await run.ask(case, Load(30, run.profile.warm_up_seconds, 1000, run.seed))
        for at_once, lead_in in ((30, 2), (100, 5)):
            for number in range(rounds):
                load = Load(at_once, seconds + lead_in, 3000, run.seed + number, lead_in)
                await run.round(case, str(at_once), number, load, servers.groups("scale"))
    await servers.stop([name for name in servers.processes if name.startswith("scale/")])
    await run.check_books({REMIT})


async def start_times(folder: Path) -> list[float]:
    """Seconds from the command `remit run` to its line `ready`. The first start also creates the databases."""
    log = folder / "log" / "start.log"
    ports = {"REMIT_API_PORT": free_port(), "REMIT_TEMPORAL_PORT": free_port(), "REMIT_TEMPORAL_UI_PORT": free_port()}
    home = {"REMIT_HOME": str(folder / "started"), "PYTHONUNBUFFERED": "1"}
    found = []
    for _ in range(1 + STARTS):
        log.unlink(missing_ok=True)
        child = Child(
            name="remit run",
            argv=[sys.executable, "-m", "cli", "run"],
            env=dict(os.environ) | home | {name: str(port) for name, port in ports.items()},
            log=log,
            cwd=PROJECT,
            ready=lambda: _missing_line(log),
            ready_seconds=START_SECONDS,
            stop_seconds=60,
        )
        process = await Process.start(child)
        found.append(round(process.lived_seconds, 2))
        await process.stop()
    return found


async def _missing_line(log: Path) -> str | None:
    lines = await asyncio.to_thread(log.read_text)
    return None if any(line.startswith("ready") for line in lines.splitlines()) else "its log has no line `ready`"
