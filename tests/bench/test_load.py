"""The load generator counts what it could not send, and a latency begins when its request was due."""

import asyncio
import time
from itertools import islice

import pytest

from bench.traffic.http import Connections
from bench.traffic.load import Load, Tally, arrivals, percentile, run_load
from devenv.processes.ports import free_port


def test_arrivals_keep_their_rate_and_repeat_with_their_seed() -> None:
    due = list(islice(arrivals(100, seed=7), 20_000))
    assert due == list(islice(arrivals(100, seed=7), 20_000))
    assert due == sorted(due)
    assert due[-1] == pytest.approx(200, rel=0.05)


def test_a_percentile_is_a_value_that_was_measured() -> None:
    ordered = [float(number) for number in range(1, 101)]
    assert [percentile(ordered, wanted) for wanted in (50, 95, 99, 100)] == [50, 95, 99, 100]
    assert percentile([3.0], 99) == 3.0
    assert percentile([], 50) is None


def test_an_unexpected_answer_is_neither_throughput_nor_latency() -> None:
    tally = Tally(Load(1, seconds=10), took=10)
    tally.count("201 completed", due=1, ended=2)
    tally.count("202 debited", due=1, ended=1.1)
    tally.count("201 failed", due=1, ended=1.1)
    summary = tally.summary()
    assert summary["answers"] == {"201 completed": 1, "202 debited": 1, "201 failed": 1}
    assert (summary["good"], summary["throughput"], summary["latency_ms"]["max"]) == (1, 0.1, 1000)


def test_the_lead_in_is_not_measured_and_neither_is_what_ends_too_late() -> None:
    tally = Tally(Load(1, seconds=12, lead_in=2), took=13)
    tally.count("201 completed", due=0, ended=1)
    tally.count("201 completed", due=1, ended=3)
    tally.count("201 completed", due=11, ended=12.5)
    summary = tally.summary()
    assert summary["good"] == 3
    assert summary["throughput"] == 0.1
    assert summary["latency_ms"]["max"] == 1500


async def test_requests_that_come_due_while_all_are_in_flight_are_unsent() -> None:
    most = now = 0

    async def send() -> str:
        nonlocal most, now
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.1)
        now -= 1
        return "201 completed"

    load = Load(in_flight=2, seconds=1, rate=200, seed=3)
    tally = await run_load(load, send)
    due = sum(1 for _ in _until(load))
    assert tally.sent + tally.unsent == due
    assert most == 2
    assert 10 <= tally.sent <= 22, "two at a time, a tenth of a second each"


async def test_a_stall_of_the_system_is_counted_against_every_request_that_was_due_in_it() -> None:
    """Coordinated omission: a generator that waits for the stall to end would measure one slow request."""

    async def send() -> str:
        time.sleep(0.5 if not stalled else 0)  # noqa: ASYNC251 - even the generator itself stands still
        stalled.append(1)
        return "201 completed"

    stalled: list[int] = []
    tally = await run_load(Load(in_flight=1000, seconds=1, rate=100, seed=5), send)
    slow = [latency for latency in tally.latencies if latency > 0.1]
    assert len(slow) > 20, "some forty requests came due in the half second"
    assert tally.unsent == 0


async def test_the_lead_in_fills_the_system_one_by_one() -> None:
    began = time.perf_counter()
    starts: list[float] = []

    async def send() -> str:
        starts.append(time.perf_counter() - began)
        await asyncio.sleep(2)
        return "201 completed"

    await run_load(Load(in_flight=10, seconds=1, rate=5000, lead_in=0.8), send)
    assert len(starts) == 10
    assert starts[-1] - starts[0] > 0.4, "not all at once"


async def test_a_closed_loop_waits_for_each_answer_and_ends_at_its_limit() -> None:
    async def send() -> str:
        await asyncio.sleep(0.001)
        return "201 completed"

    tally = await run_load(Load(in_flight=1, seconds=60, limit=5), send)
    assert (tally.sent, tally.unsent, len(tally.latencies)) == (5, 0, 5)


async def test_a_connection_reads_states_and_says_when_nobody_answers() -> None:
    body = b'{"id": "trf_1", "state": "completed"}'

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(b"HTTP/1.1 201 Created\r\nContent-Length: %d\r\n\r\n" % len(body))
            await writer.drain()
            writer.write(body)

    port = free_port()
    server = await asyncio.start_server(answer, "127.0.0.1", port)
    async with server:
        connections = Connections("127.0.0.1", port)
        request = b"POST / HTTP/1.1\r\nHost: x\r\n\r\n"
        assert await connections.ask(request) == "201 completed"
        assert await connections.ask(request) == "201 completed"
        connections.close()
    assert await Connections("127.0.0.1", free_port()).ask(request) == "no connection"


def _until(load: Load) -> list[float]:
    assert load.rate is not None
    found: list[float] = []
    for due in arrivals(load.rate, load.seed):
        if due >= load.seconds:
            return found
        found.append(due)
    return found
