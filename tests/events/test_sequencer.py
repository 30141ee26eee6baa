"""Positions: given out after the commit, without a gap, and in the order of each account's changes.

What can go wrong, and the test of it: an event commits late, behind events with higher ids; two processes number at
once; one dies before its commit, or after it and before anybody heard of it; PostgreSQL goes away.
"""

import asyncio
from contextlib import suppress

import asyncpg

from customers.postgres import Customers
from database.connections import WORKER_ROLE, Database, Unavailable
from devenv.servers.postgres_server import PostgresServer
from events.postgres.sequencer import Sequencer, UnnumberedReads, number_all, number_events
from events.postgres.stream import EventStream
from ledger.postgres.book import Book
from tests.conftest import database_named
from tests.connections import Connection
from tests.databases import OwnDatabase
from tests.orders import completed, funded, holder, order
from tests.waiting import until

EMIT = "SELECT emit_event('delivery.dead', $1, 'key', NULL, NULL, '{}', '{}')"


async def emit(database: Database, subject: str) -> None:
    async with database.connection() as connection:
        await connection.execute(EMIT, subject)


async def read(database: Database) -> list[tuple[int, str]]:
    return [(event.position, event.subject) for event in await EventStream(database).after(0, 1_000)]


async def test_an_event_that_commits_late_comes_behind_those_that_were_read_before(database: Database) -> None:
    async with database.connection() as late, late.transaction():
        await late.execute(EMIT, "late")
        await emit(database, "early")
        await number_all(database)
        assert await read(database) == [(1, "early")], "its id is the higher one"
        assert await UnnumberedReads(database).longest_seconds() == 0
    assert await UnnumberedReads(database).longest_seconds() == 1
    await number_all(database)
    assert await read(database) == [(1, "early"), (2, "late")]


async def test_an_accounts_events_have_the_order_of_its_changes_when_the_second_waited_for_the_first(
    database: Database, customers: Customers, owner: Connection
) -> None:
    alice = await holder(customers)
    await number_all(database)
    async with database.connection() as first, database.connection() as second:
        async with first.transaction():
            await first.execute("UPDATE accounts SET tier = 2 WHERE id = $1", alice.account_id)
            # The second transaction has written something of its own before it waits: its own id is the older one.
            begun = second.transaction()
            await begun.start()
            await second.execute(EMIT, "before")
            waiting = asyncio.create_task(
                second.execute("UPDATE accounts SET tier = 3 WHERE id = $1", alice.account_id)
            )
            blocked = "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            await until(lambda: owner.fetchval(blocked), "the second waits", 5)
        await waiting
        await begun.commit()
    await number_all(database)
    tiers = [event.data["account"]["tier"] for event in await EventStream(database).after(0, 9) if event.account_id]
    assert tiers == [1, 2, 3]


async def test_many_transfers_at_once_have_dense_positions_and_versions_that_ascend(
    database: Database, customers: Customers, book: Book
) -> None:
    people = [await funded(customers, book, 100) for _ in range(3)]
    stop = asyncio.Event()

    async def number() -> None:
        while not stop.is_set():
            async with database.connection() as connection:
                await number_events(connection, 3)

    numbering = [asyncio.create_task(number()) for _ in range(2)]
    pairs = [(one, other) for one in people for other in people if one is not other] * 3
    await asyncio.gather(*(completed(book, order(one.id, one.account_id, other.account_id, 1)) for one, other in pairs))
    stop.set()
    await asyncio.gather(*numbering)
    await number_all(database)
    events = await EventStream(database).after(0, 1_000)
    assert [event.position for event in events] == list(range(1, len(events) + 1))
    assert await EventStream(database).head() == len(events)
    for person in people:
        versions = [e.account_version for e in events if e.account_id == person.account_id and e.data.get("entry")]
        assert versions == list(range(1, len(versions) + 1))


async def test_of_two_sequencers_one_numbers_and_the_other_is_told_so(database: Database) -> None:
    await emit(database, "one")
    async with database.connection() as first, database.connection() as second:
        async with first.transaction():
            assert (await number_events(first)).events == 1
            refused = await number_events(second)
            assert (refused.events, refused.others_do) == (0, True)
        await emit(database, "two")
        assert (await number_events(second)).through == 2
    assert await read(database) == [(1, "one"), (2, "two")]


async def test_a_sequencer_that_dies_before_its_commit_leaves_no_gap_and_told_nobody(
    database: Database, owner: Connection
) -> None:
    told: list[str] = []
    await owner.add_listener("remit_events", lambda *heard: told.append(heard[-1]))
    await emit(database, "one")
    with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, Unavailable):
        async with database.connection() as dying, dying.transaction():
            assert (await number_events(dying)).through == 1
            await owner.execute("SELECT pg_terminate_backend($1)", dying.get_server_pid())
            await dying.execute("SELECT 1")
    assert (await read(database), told) == ([], [])
    await emit(database, "two")
    await number_all(database)
    assert await read(database) == [(1, "one"), (2, "two")]

    async def heard() -> bool:
        await owner.execute("SELECT 1")
        return told == ["2"]

    await until(heard, "one call tells the last position once", 5)


async def test_a_reader_that_heard_nothing_finds_all_by_its_position(database: Database) -> None:
    for subject in ("one", "two", "three"):
        await emit(database, subject)
    await number_all(database)  # nobody listens: the notification is lost
    stream = EventStream(database)
    assert [event.subject for event in await stream.after(1, 1)] == ["two"]
    assert [event.subject for event in await stream.after(2, 9)] == ["three"]
    assert await stream.after(3, 9) == []


async def test_the_sequencer_goes_on_after_postgresql_was_away(database: Database, owner: Connection) -> None:
    await owner.execute("ALTER FUNCTION number_events RENAME TO away")
    sequencer = Sequencer(database, idle_milliseconds=60_000)
    numbering = asyncio.create_task(sequencer.keep_numbering())
    try:
        await emit(database, "one")
        sequencer.wake()
        await asyncio.sleep(0)
        await owner.execute("ALTER FUNCTION away RENAME TO number_events")

        async def numbered() -> bool:
            return await read(database) == [(1, "one")]

        await until(numbered, "it numbers again", 5)
        await emit(database, "two")
        sequencer.wake()

        async def woken() -> bool:
            return len(await read(database)) == 2

        await until(woken, "a wake is enough", 5)
    finally:
        numbering.cancel()
        with suppress(asyncio.CancelledError):
            await numbering


async def test_books_that_were_restored_give_out_positions_again_for_events_with_other_ids(
    database: Database, own_database: OwnDatabase, postgres: PostgresServer
) -> None:
    await emit(database, "one")
    await number_all(database)
    name = f"{own_database.name}_restored"
    server = await asyncpg.connect(postgres.url)
    # A copy is what a backup of this moment restores.
    await server.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1", own_database.name
    )
    await server.execute(f"CREATE DATABASE {name} TEMPLATE {own_database.name}")
    try:
        await emit_again(database, "told since the backup")
        since = (await EventStream(database).after(1, 9))[0]
        async with Database(database_named(postgres.url, name), connections=2, role=WORKER_ROLE) as restored:
            await emit(restored, "after the restore")
            await number_all(restored)
            again = (await EventStream(restored).after(1, 9))[0]
        assert (since.position, again.position) == (2, 2)
        assert since.event_id != again.event_id, "whoever has seen the one does not take the other for it"
    finally:
        await server.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await server.close()


async def emit_again(database: Database, subject: str) -> None:
    """On a connection of the pool that is not among those that were ended."""

    async def numbered() -> bool:
        try:
            await emit(database, subject)
        except (Unavailable, asyncpg.PostgresError):
            return False
        return await number_all(database)

    await until(numbered, "the pool has connected again", 5)
