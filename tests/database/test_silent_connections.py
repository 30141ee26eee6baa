"""Connections to PostgreSQL that die without a word: no reset, no error, only silence."""

import asyncio
import time
from collections.abc import AsyncIterator
from urllib.parse import urlsplit, urlunsplit

import pytest

from database.connections import REQUESTS, Database, RowHeld, Unavailable
from tests.connections import Connection
from tests.silent_network import Network, network_to
from tests.waiting import until

# What a client is promised.
ANSWERED_SECONDS = 3
# Who meets one dead connection waits for longer: so none is left.
WELL_SECONDS = 2
assert REQUESTS.answer_seconds > WELL_SECONDS


@pytest.fixture
async def network(database_url: str) -> AsyncIterator[Network]:
    port = urlsplit(database_url).port
    assert port is not None
    async with network_to(port) as network:
        yield network


@pytest.fixture
async def remote(database_url: str, network: Network) -> AsyncIterator[Database]:
    """The database behind that network, with twenty connections that are open and unused."""
    parts = urlsplit(database_url)
    url = urlunsplit(parts._replace(netloc=f"{parts.username}:{parts.password}@{network.address}"))
    async with Database(url, connections=20, limits=REQUESTS) as remote:
        await asyncio.gather(*(answers(remote, "SELECT 1 FROM pg_sleep(0.1)") for _ in range(20)))
        yield remote


async def answers(database: Database, statement: str = "SELECT 1") -> None:
    async with database.connection() as connection:
        assert await connection.fetchval(statement) == 1


async def seconds_without_an_answer(database: Database) -> float:
    began = time.monotonic()
    with pytest.raises(Unavailable):
        await answers(database)
    return time.monotonic() - began


async def test_one_silent_connection_makes_the_pool_replace_all_of_them(remote: Database, network: Network) -> None:
    network.kill_connections()
    assert await seconds_without_an_answer(remote) < ANSWERED_SECONDS
    began = time.monotonic()
    for _ in range(40):
        await answers(remote)
    await asyncio.gather(*(answers(remote) for _ in range(40)))
    assert time.monotonic() - began < WELL_SECONDS


async def test_while_nothing_answers_every_call_ends_in_time_and_afterwards_all_is_well(
    remote: Database, network: Network
) -> None:
    network.fall_silent()
    assert max(await asyncio.gather(*(seconds_without_an_answer(remote) for _ in range(60)))) < ANSWERED_SECONDS
    assert await seconds_without_an_answer(remote) < ANSWERED_SECONDS
    network.come_back()
    began = time.monotonic()
    await asyncio.gather(*(answers(remote) for _ in range(40)))
    assert time.monotonic() - began < WELL_SECONDS


async def test_a_transaction_on_a_silent_connection_ends_in_time_and_its_locks_soon_after(
    remote: Database, network: Network, owner: Connection
) -> None:
    await owner.execute(
        "CREATE TABLE held (id int PRIMARY KEY); INSERT INTO held VALUES (1); GRANT ALL ON held TO PUBLIC"
    )
    began = time.monotonic()
    with pytest.raises(Unavailable):  # noqa: PT012 - it may end anywhere in the block
        async with remote.transaction() as connection:
            await connection.execute("UPDATE held SET id = 1")
            network.kill_connections()
            await connection.execute("SELECT 1")
    assert time.monotonic() - began < ANSWERED_SECONDS
    # PostgreSQL has heard nothing of it.
    async with asyncio.timeout(5):
        await owner.execute("UPDATE held SET id = 1")


async def test_a_statement_that_is_abandoned_waits_for_no_answer(remote: Database, network: Network) -> None:
    network.kill_connections()
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await answers(remote)
    assert time.monotonic() - began < 0.5


async def test_a_watched_pool_finds_dead_connections_before_somebody_needs_them(
    remote: Database, network: Network
) -> None:
    watching = asyncio.create_task(remote.watch())
    before = network.connections
    network.kill_connections()

    async def has_connected_again() -> bool:
        return network.connections > before

    try:
        await until(has_connected_again, "a new connection")
    finally:
        watching.cancel()
    began = time.monotonic()
    await asyncio.gather(*(answers(remote) for _ in range(20)))
    assert time.monotonic() - began < WELL_SECONDS


async def test_a_row_that_is_held_is_no_silence(remote: Database, owner: Connection) -> None:
    await owner.execute(
        "CREATE TABLE held (id int PRIMARY KEY); INSERT INTO held VALUES (1); GRANT ALL ON held TO PUBLIC"
    )
    async with owner.transaction():
        await owner.execute("UPDATE held SET id = 1")
        with pytest.raises(RowHeld, match="Another transaction holds the row"):
            async with remote.connection() as connection:
                await connection.execute("UPDATE held SET id = 1")
    await answers(remote)
