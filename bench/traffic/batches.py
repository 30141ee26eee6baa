"""What a batch costs: chunks beside one transaction each, and 10,000 transfers over HTTP beside single ones.

The first are measured in this process, on books of their own. Over HTTP, all is paid from one account: the batches, and
the single transfers that somebody sends meanwhile.
"""

import asyncio
import secrets
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import httpx

from batches.batch import CHUNK, MOST_ITEMS
from bench.cases import (
    BATCH_OVER_HTTP,
    BATCHES,
    BESIDE,
    CHUNKS_HOT,
    CHUNKS_UNIFORM,
    EACH_HOT,
    EACH_UNIFORM,
    REMIT,
    SINGLES,
)
from bench.run import Run
from bench.traffic.generator import TRANSFER
from bench.traffic.jobs import Job, ask
from bench.traffic.load import Load, Tally
from bench.traffic.population import AMOUNT_MINOR, CURRENCY, Choice, Holder, order_between, pairs, read
from bulk_transfers.postgres import BulkTransfers
from database.connections import WORKER_ROLE, Database, Unavailable
from events.postgres.sequencer import UnnumberedReads
from events.postgres.sinks import SinkReads
from screening.postgres.rules_in_force import RulesInForce
from screening.rule_sets import default_rule_set

if TYPE_CHECKING:
    from ledger.transfers import TransferOrder

AT_ONCE = 16
CHUNKS, ONE_EACH, ITEMS = 6, 300, MOST_ITEMS
SINGLES_SECONDS, LEAD_IN = 4.0, 2.0
# Single transfers beside a batch: so few that they wait for its locks and not for each other, and for about as long as
# a fast batch takes.
BESIDE_RATE, BESIDE_SECONDS = 5.0, 5.0
PATIENCE_SECONDS = 120
POLL_SECONDS = 0.05


async def batches_and_singles(run: Run, rounds: int) -> None:
    """Measure all of it, round by round. Raises `BooksBroken`."""
    holders = read(run.servers.population)
    url = run.servers.database_url(BATCHES)
    async with Database(url, AT_ONCE + 1, "bench-batches", role=WORKER_ROLE) as database:
        rules = default_rule_set(review_from_major=None, decline_from_major=None)
        posting = _Posting(run, database, BulkTransfers(run.servers.fingerprints, RulesInForce(database, rules)))
        await posting.chunks(holders, Choice.UNIFORM)
        for number in range(rounds):
            for name, post, choice in (
                (CHUNKS_UNIFORM, posting.chunks, Choice.UNIFORM),
                (EACH_UNIFORM, posting.one_each, Choice.UNIFORM),
                (CHUNKS_HOT, posting.chunks, Choice.HOT_PAYER),
                (EACH_HOT, posting.one_each, Choice.HOT_PAYER),
            ):
                run.progress.step(f"{name}, round {number + 1}")
                run.record(name, "direct", number, await post(holders, choice))
    await run.check_books({BATCHES})
    await _over_http(run, holders, rounds)
    await run.check_books({REMIT})


class _Posting:
    """Posts orders between the accounts of a run as workers post those of batches."""

    def __init__(self, run: Run, database: Database, bulk: BulkTransfers) -> None:
        self._run = run
        self._database = database
        self._bulk = bulk

    async def chunks(self, holders: list[Holder], choice: Choice) -> dict[str, Any]:
        """Chunk after chunk, as a batch does."""
        orders = self._orders(holders, choice, CHUNKS * CHUNK)
        began = time.perf_counter()
        for first in range(0, len(orders), CHUNK):
            await self._post(orders[first : first + CHUNK])
        return _summary(1, len(orders), time.perf_counter() - began)

    async def one_each(self, holders: list[Holder], choice: Choice) -> dict[str, Any]:
        """The same statements for one order at a time, in transactions that run at once."""
        waiting = iter(orders := self._orders(holders, choice, ONE_EACH))

        async def worker() -> None:
            for order in waiting:
                await self._post([order])

        began = time.perf_counter()
        await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
        return _summary(AT_ONCE, len(orders), time.perf_counter() - began)

    def _orders(self, holders: list[Holder], choice: Choice, count: int) -> "list[TransferOrder]":
        draw, signed = pairs(choice, holders, self._run.seed), self._run.servers.fingerprints.signed
        return [signed(order_between(draw(), secrets.token_hex(8))) for _ in range(count)]

    async def _post(self, orders: "Sequence[TransferOrder]") -> None:
        while True:
            try:
                async with self._database.transaction() as connection:
                    outcomes = await self._bulk.post(connection, orders)
            except Unavailable:
                continue  # another transaction held an account for too long
            assert all(outcome.is_completed_now for outcome in outcomes), "the books hold enough for any run"
            return


async def _over_http(run: Run, holders: Sequence[Holder], rounds: int) -> None:
    payer = holders[0]
    port = run.servers.ports[REMIT]
    signed_in = {"Authorization": f"Bearer {payer.token}"}
    client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False, headers=signed_in)

    def singles(load: Load) -> Job:
        return Job(load, Choice.HOT_PAYER, port=port, way=TRANSFER)

    async with client as http:
        for number in range(rounds):
            run.progress.step(f"{SINGLES}, round {number + 1}")
            load = Load(30, SINGLES_SECONDS + LEAD_IN, 3000, run.seed + number, LEAD_IN)
            run.record(SINGLES, "30", number, await ask(run.servers.ports["load"], singles(load)))
            run.progress.step(f"{BATCH_OVER_HTTP}, round {number + 1}")
            run.record(BATCH_OVER_HTTP, "1", number, await _paid(http, payer, holders))
            await _events_are_delivered(run)
            run.progress.step(f"{BESIDE}, round {number + 1}")
            beside = singles(Load(30, BESIDE_SECONDS, BESIDE_RATE, run.seed + number))
            ended = await asyncio.gather(_paid(http, payer, holders), ask(run.servers.ports["load"], beside))
            run.record(BESIDE, "30", number, ended[1])
            run.progress.step(f"the events of round {number + 1} are delivered")
            await _events_are_delivered(run)


async def _events_are_delivered(run: Run) -> None:
    """Wait for what a system does behind the last outcome: it must not disturb the next round."""
    async with Database(run.servers.database_url(REMIT), 1, "bench-events", role=WORKER_ROLE) as database:
        unnumbered, reads = UnnumberedReads(database), SinkReads(database)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                behind = [sink.name for sink in await reads.all() if sink.lag_events]
                if not behind and await unnumbered.longest_seconds() == 0:
                    return
                await asyncio.sleep(POLL_SECONDS)


async def _paid(http: httpx.AsyncClient, payer: Holder, holders: Sequence[Holder]) -> dict[str, Any]:
    """One batch of 10,000, from its request to its last outcome."""
    name = secrets.token_hex(4)
    items = [
        {
            "reference": f"{name}-{number}",
            "source_account_id": payer.account_id,
            "destination_account_id": holders[1 + number % (len(holders) - 1)].account_id,
            "amount": AMOUNT_MINOR,
            "currency": CURRENCY,
        }
        for number in range(ITEMS)
    ]
    began = time.perf_counter()
    answer = await http.post("/v1/batches", json={"items": items}, headers={"Idempotency-Key": name})
    answer.raise_for_status()
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            batch = (await http.get(answer.headers["Location"])).json()
            if batch["state"] == "completed":
                break
            await asyncio.sleep(POLL_SECONDS)
    took = time.perf_counter() - began
    assert batch["counts"]["completed"] == ITEMS, batch["counts"]
    return _summary(1, ITEMS, took)


def _summary(in_flight: int, count: int, seconds: float) -> dict[str, Any]:
    """A round whose answers are not timed one by one: so many transfers in so long."""
    tally = Tally(Load(in_flight, seconds, expected="completed"), sent=count, good=count, good_in_time=count)
    tally.took = seconds
    tally.answers["completed"] = count
    return tally.summary()
