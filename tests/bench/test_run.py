"""A small run on real servers: the product, the ledger's steps and plain SQL, under the loads of a real one."""

from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from bench.cases import (
    BATCH_OVER_HTTP,
    BATCHES,
    BESIDE,
    CHUNKS_UNIFORM,
    EACH_HOT,
    PLAIN,
    REMIT,
    STEPS,
    UNIFORM,
    Level,
    Profile,
)
from bench.postgres.million import fill_with_entries
from bench.results.targets import verdicts
from bench.run import BooksBroken, Progress, Run
from bench.servers import Servers, servers
from bench.traffic import batches
from bench.traffic.generator import SIGN_IN
from bench.traffic.jobs import Job, ask
from bench.traffic.load import Load
from cli.migrate import prepare
from database.connections import Database
from ledger.postgres.audit import audit

pytestmark = pytest.mark.system

CASES = (UNIFORM, STEPS, PLAIN)
LEVEL = Level(in_flight=4, rounds=1, seconds=1, cases=CASES, lead_in=0.2)
PROFILE = Profile("tiny", accounts=12, warm_up_seconds=0.5, levels=(LEVEL,), phases=())


@pytest.fixture(scope="module")
async def started(open_folder: Path) -> AsyncIterator[Servers]:
    systems = [*(case.system for case in CASES), BATCHES]
    async with servers(open_folder / "bench", prepare, PROFILE.accounts, systems, print) as found:
        yield found


async def test_each_case_moves_money_counts_its_cpu_and_leaves_clean_books(started: Servers) -> None:
    run = Run(started, PROFILE, seed=1, progress=Progress())
    await run.level(LEVEL)
    by_case = {entry["case"]: entry for entry in run.recorder.rounds}
    assert by_case.keys() == {case.name for case in CASES}
    for case in CASES:
        entry = by_case[case.name]
        assert entry["answers"] == {case.expected: entry["sent"]}
        assert entry["throughput"] > 0
        assert entry["unsent"] > 0, "the rate is far above what it can do"
        assert entry["cpu_seconds"]["system"] > 0
        assert entry["memory_mb"]["system"] > 10
    assert by_case["c"]["cpu_seconds"]["load generator"] > 0
    audited = {found["system"]: found["transfers"]["completed"] for found in run.recorder.audits}
    assert audited[REMIT] >= by_case["c"]["sent"]


async def test_batches_and_singles_are_paid_and_leave_clean_books(
    started: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    less = {"CHUNKS": 1, "ONE_EACH": 20, "ITEMS": 600, "SINGLES_SECONDS": 1.5, "LEAD_IN": 0.2, "BESIDE_SECONDS": 1.0}
    for name, value in less.items():
        monkeypatch.setattr(batches, name, value)
    run = Run(started, PROFILE, seed=1, progress=Progress())
    await batches.batches_and_singles(run, rounds=1)
    by_case = {entry["case"]: entry for entry in run.recorder.rounds}
    assert [by_case[name]["good"] for name in (CHUNKS_UNIFORM, EACH_HOT, BATCH_OVER_HTTP)] == [500, 20, 600]
    assert all(entry["throughput"] > 0 for entry in run.recorder.rounds)
    assert by_case[BESIDE]["answers"] == {"201 completed": by_case[BESIDE]["sent"]}
    measured = {verdict["name"] for verdict in verdicts({"rounds": run.recorder.rounds}) if verdict["measured"]}
    assert len([name for name in measured if name.startswith("batches: ")]) == 6


async def test_every_customer_of_a_run_can_sign_in(started: Servers) -> None:
    load = Load(in_flight=2, seconds=1, expected="200")
    tally = await ask(started.ports["reads"], Job(load, port=started.ports[REMIT], way=SIGN_IN))
    assert tally["answers"] == {"200": tally["sent"]}
    assert tally["sent"] > 0


async def test_books_that_are_filled_in_bulk_are_books_that_the_ledger_would_have_written(started: Servers) -> None:
    url = started.database_url(STEPS.system)
    await fill_with_entries(url, started.fingerprints, 2_000, seed=3)
    async with Database(url, 1) as database:
        found = await audit(database, started.fingerprints)
    assert found.broken == []
    assert found.totals[0].entries >= 2_000


async def test_broken_books_end_the_run(started: Servers) -> None:
    url = started.database_url(STEPS.system)
    connection = await asyncpg.connect(url)
    await connection.execute("UPDATE accounts SET balance_minor = balance_minor + 1")
    await connection.close()
    with pytest.raises(BooksBroken, match="ledger_steps: "):
        await Run(started, PROFILE, seed=1, progress=Progress()).check_books({STEPS.system})
