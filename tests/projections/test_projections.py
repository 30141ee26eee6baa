"""Projections equal what entries and transfers say: in any history, after any crash, and after any rebuild."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest

from customers.postgres import Customers
from database.connections import Database
from events.event import Event
from events.postgres.sequencer import number_all
from events.postgres.stream import EventStream
from ledger.postgres.book import Book
from ledger.transfers import State
from projections.postgres.generations import ProjectionRebuilds
from projections.postgres.projection_sink import ProjectionSink, projection_sinks
from projections.postgres.reads import ProjectionReads
from projections.projection import OutOfOrder, ProjectionName, ProjectionRebuildRunning, Stage
from staff.permissions import Actor, Role
from staff.postgres.actions import ActionSearch, StaffActions
from tests.connections import Connection
from tests.orders import completed, funded, holder, order, staff
from tests.projections.histories import History, follow, projected, told_by_books

if TYPE_CHECKING:
    from database.connections import Connection as Pooled

STATS, STATUS = projection_sinks()


class Killed(BaseException):
    """What a process does not survive."""


class KilledBeforeItsCommit(ProjectionSink):
    async def apply(self, connection: "Pooled", events: Sequence[Event]) -> None:
        await super().apply(connection, events)
        raise Killed


async def asked(database: Database, name: ProjectionName) -> str:
    actor = Actor(await staff(database), Role.ADMIN)
    return (await ProjectionRebuilds(database).request(actor, name, "ticket 4711")).id


async def killed_before_its_commit(database: Database, rebuilds: ProjectionRebuilds, name: ProjectionName) -> None:
    async with database.transaction() as connection:
        await rebuilds.proceed_on(connection, name)
        raise Killed


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_projection_equals_what_entries_and_transfers_say_also_when_killed_in_the_middle(
    database: Database, customers: Customers, book: Book, seed: int
) -> None:
    history, reads = await History.of(seed, database, customers, book), ProjectionReads(database)
    for _ in range(3):
        await history.go_on(30)
        assert await number_all(database)
        for sink in (STATS, STATUS):
            position = (await reads.find(sink.name)).position
            events = await EventStream(database).after(position, history.chance.randint(1, 60))
            with pytest.raises(Killed):
                async with database.transaction() as connection:
                    await KilledBeforeItsCommit(sink.model).apply(connection, events)
            assert (await reads.find(sink.name)).position == position
            await follow(database, sink, most=history.chance.randint(1, 20))
        assert await projected(database) == await told_by_books(database)
    states = {status.state for status in (await projected(database)).statuses.values()}
    assert states >= {State.COMPLETED, State.FAILED, State.COMPENSATED}


async def test_nothing_passes_a_missing_event_and_nothing_is_applied_twice(
    database: Database, customers: Customers, book: Book
) -> None:
    await funded(customers, book, 100)
    assert await number_all(database)
    events = await EventStream(database).after(0, 500)
    for sink in (STATS, STATUS):
        async with database.transaction() as connection:
            await sink.apply(connection, events[:2])
        for wrong in (events[3:], [*events[2:3], *events[4:]]):
            with pytest.raises(OutOfOrder, match="is missing"):
                async with database.transaction() as connection:
                    await sink.apply(connection, wrong)
        async with database.transaction() as connection:
            await sink.apply(connection, events)
            await sink.apply(connection, events)
    assert await projected(database) == await told_by_books(database)


async def test_an_event_that_does_not_follow_from_the_rows_is_not_applied(
    database: Database, customers: Customers, book: Book, owner: Connection
) -> None:
    alice, ben = await funded(customers, book, 100), await holder(customers)
    opened = order(alice.id, alice.account_id, ben.account_id, 1)
    await book.open_transfer(opened)
    for sink in (STATS, STATUS):
        await follow(database, sink)
    await owner.execute("UPDATE account_stats SET balance_minor = 99, deposited_minor = 99")
    await owner.execute("DELETE FROM transfer_status WHERE transfer_id = $1", opened.transfer_id)
    await completed(book, opened)
    with pytest.raises(OutOfOrder, match=r"on a balance of 100, and what was projected ends with entry 1 .* of 99"):
        await follow(database, STATS)
    with pytest.raises(OutOfOrder, match=r"is debited of attempt 1 of .* ends with nothing"):
        await follow(database, STATUS)


@pytest.mark.parametrize("seed", [4, 5])
async def test_a_rebuild_beside_the_running_projection_while_events_flow_gives_the_same(
    database: Database, customers: Customers, book: Book, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projections.postgres.generations.EVENTS_AT_ONCE", 20)
    history = await History.of(seed, database, customers, book)
    await history.go_on(60)
    rebuilds, reads = ProjectionRebuilds(database), ProjectionReads(database)
    for sink in (STATS, STATUS):
        name = ProjectionName(sink.name)
        await follow(database, sink)
        await asked(database, name)
        before, parts = await projected(database), 0
        while await rebuilds.proceed(name):
            parts += 1
            if (found := await rebuilds.last(name)) is not None and found.stage is Stage.EVENTS:
                assert await projected(database) == before, "nobody sees a part of the next generation"
                await history.go_on(3)
                assert await number_all(database)
                if history.chance.random() < 0.5:
                    await follow(database, sink)
                    before = await projected(database)
        assert parts > 5
        assert (await reads.find(name)).generation == 2
        await follow(database, sink)
    await follow(database, STATS)
    assert await projected(database) == await told_by_books(database)


async def test_a_rebuild_mends_rows_that_somebody_changed_and_is_on_record(
    database: Database, customers: Customers, book: Book, owner: Connection
) -> None:
    alice = await funded(customers, book, 100)
    await follow(database, STATS)
    await owner.execute("UPDATE account_stats SET deposits = 7")
    rebuilds, name = ProjectionRebuilds(database), ProjectionName.ACCOUNT_STATS
    rebuild_id = await asked(database, name)
    with pytest.raises(ProjectionRebuildRunning):
        await asked(database, name)
    while await rebuilds.proceed(name):
        pass
    assert (await ProjectionReads(database).stats(alice.account_id)).figures.deposits == 1
    found = await rebuilds.last(name)
    assert found is not None
    assert (found.id, found.stage, found.generation, found.reason) == (rebuild_id, Stage.COMPLETED, 2, "ticket 4711")
    (action,) = (await StaffActions(database).find(ActionSearch(subject=name), 10)).items
    assert (action.action, action.outcome, action.asked) == ("rebuild_projection", "taken", {"rebuild_id": rebuild_id})
    assert await owner.fetchval("SELECT count(*) FROM account_stats") == 1, "the old generation is dropped"


async def test_a_rebuild_that_is_killed_in_any_of_its_parts_goes_on_and_gives_the_same(
    database: Database, customers: Customers, book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projections.postgres.generations.EVENTS_AT_ONCE", 5)
    await funded(customers, book, 100)
    for sink in (STATS, STATUS):
        await follow(database, sink)
    before = await projected(database)
    rebuilds = ProjectionRebuilds(database)
    for name in ProjectionName:
        await asked(database, name)
        parts = [True]
        while parts[-1]:
            with pytest.raises(Killed):
                await killed_before_its_commit(database, rebuilds, name)
            assert await projected(database) == before
            parts.append(await rebuilds.proceed(name))
        assert len(parts) > 5
    assert await projected(database) == before


@pytest.mark.breaks_the_books
@pytest.mark.parametrize("dropped", ["some", "all"])
async def test_a_rebuild_after_old_events_were_dropped_gives_the_same(
    database: Database, customers: Customers, book: Book, owner: Connection, dropped: str
) -> None:
    history = await History.of(6, database, customers, book)
    await history.go_on(100)
    for sink in (STATS, STATUS):
        head = await follow(database, sink)
    before = await projected(database)
    through = head if dropped == "all" else head // 2
    # As if these events had been in the partition of an old month.
    await owner.execute("SET session_replication_role = replica")
    await owner.execute("DELETE FROM outbox_events WHERE position <= $1 AND position % 7 <> 0", through)
    await owner.execute("UPDATE event_head SET dropped_through = $1", through)
    for sink in (STATS, STATUS):
        name = ProjectionName(sink.name)
        await asked(database, name)
        while await ProjectionRebuilds(database).proceed(name):
            pass
        assert (await ProjectionReads(database).find(name)).generation == 2
    assert await projected(database) == before
    await history.go_on(10)
    for sink in (STATS, STATUS):
        await follow(database, sink)
    assert await projected(database) == await told_by_books(database)


async def test_a_status_tells_when_each_state_was_reached_and_how_long_the_last_attempt_took(
    database: Database, customers: Customers, book: Book
) -> None:
    alice, ben = await funded(customers, book, 100), await holder(customers)
    paid = await completed(book, order(alice.id, alice.account_id, ben.account_id, 40))
    reads = ProjectionReads(database)
    behind = await reads.status(paid.transfer_id)
    assert (behind.position, behind.status) == (0, None)
    head = await follow(database, STATUS)
    found = await reads.status(paid.transfer_id)
    assert found.position == head
    assert found.status is not None
    assert [(each.attempt, each.state) for each in found.status.reached] == [
        (1, "initiated"),
        (1, "debited"),
        (1, "completed"),
    ]
    assert found.status.latency == found.status.reached[2].at - found.status.reached[0].at
    assert (await reads.stats(ben.account_id)).figures.incoming_minor == 0, "that one has not followed yet"
