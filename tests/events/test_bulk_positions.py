"""Positions that a posting of many transfers gives out itself, in its transaction.

What can go wrong, and the test of it: it is rolled back; its accounts have told something that has no number yet; two
such postings, or one and the sequencer, number at once; so much waits for a number that the accounts would be locked
for long.
"""

import asyncio

import pytest

from customers.postgres import Customers
from database.connections import Database
from events.event import Event
from events.postgres.sequencer import number_all, number_events
from events.postgres.stream import EventStream
from ledger.postgres.book import Book
from ledger.postgres.bulk.post import NUMBERED_FROM
from notifications.postgres import write_notices
from tests.connections import Connection
from tests.orders import FINGERPRINTS, Holder, order
from tests.standing_orders.scene import Scene
from tests.waiting import until

UNNUMBERED = "SELECT count(*) FROM outbox_events WHERE position IS NULL"


@pytest.fixture
def scene(database: Database, customers: Customers, book: Book) -> Scene:
    return Scene(database, customers, book)


async def post(scene: Scene, payer: Holder, payee: Holder, many: int, *, fails: bool = False) -> None:
    orders = [FINGERPRINTS.signed(order(payer.id, payer.account_id, payee.account_id, 1)) for _ in range(many)]
    async with scene.database.transaction() as connection:
        outcomes = await scene.bulk.post(connection, orders)
        assert all(outcome.is_completed_now for outcome in outcomes)
        if fails:
            raise ZeroDivisionError


async def stream_of(database: Database) -> list[Event]:
    events = await EventStream(database).after(0, 5_000)
    assert [event.position for event in events] == list(range(1, len(events) + 1)), "there is no gap"
    return events


async def test_many_transfers_have_their_positions_once_they_are_committed(scene: Scene, owner: Connection) -> None:
    payer, payee = await scene.holder(1_000), await scene.holder()
    before = await owner.fetchval(UNNUMBERED)
    assert before, "what the accounts have told is not numbered yet"
    await post(scene, payer, payee, NUMBERED_FROM)
    assert await owner.fetchval(UNNUMBERED) == 0
    events = (await stream_of(scene.database))[before:]
    states = ["transfer.initiated", "transfer.debited", "transfer.completed"] * NUMBERED_FROM
    assert [event.type for event in events] == [*states, *["notification.added"] * (2 * NUMBERED_FROM)]
    for person in (payer, payee):
        entries = [e.account_version for e in await stream_of(scene.database) if e.account_id == person.account_id]
        assert (told := [each for each in entries if each is not None]) == sorted(told)


async def test_an_event_in_between_keeps_its_place_before_the_notifications_of_a_posting(scene: Scene) -> None:
    payer, payee = await scene.holder(1_000), await scene.holder()
    orders = [FINGERPRINTS.signed(order(payer.id, payer.account_id, payee.account_id, 1)) for _ in range(NUMBERED_FROM)]
    async with scene.database.transaction() as connection:
        await scene.bulk.post(connection, orders)
        await connection.execute("SELECT emit_event('delivery.dead', 'between', 'key', NULL, NULL, '{}', '{}')")
        await write_notices(connection, [(payer.id, payer.account_id, "paid", "All are paid.")])
    events = await stream_of(scene.database)
    assert [event.type for event in events[-2:]] == ["delivery.dead", "notification.added"]


async def test_few_transfers_leave_their_numbers_to_the_sequencer(scene: Scene, owner: Connection) -> None:
    payer, payee = await scene.holder(1_000), await scene.holder()
    await number_all(scene.database)
    await post(scene, payer, payee, NUMBERED_FROM - 1)
    assert await owner.fetchval(UNNUMBERED) == 5 * (NUMBERED_FROM - 1)


async def test_a_posting_that_is_rolled_back_leaves_no_gap(scene: Scene) -> None:
    payer, payee = await scene.holder(1_000), await scene.holder()
    with pytest.raises(ZeroDivisionError):
        await post(scene, payer, payee, NUMBERED_FROM, fails=True)
    await post(scene, payer, payee, NUMBERED_FROM)
    await number_all(scene.database)
    completed = [event for event in await stream_of(scene.database) if event.type == "transfer.completed"]
    assert len([event for event in completed if event.data["transfer"]["kind"] == "transfer"]) == NUMBERED_FROM


async def test_while_a_posting_numbers_the_sequencer_leaves_the_others_for_later(scene: Scene) -> None:
    payer, payee = await scene.holder(1_000), await scene.holder()
    orders = [FINGERPRINTS.signed(order(payer.id, payer.account_id, payee.account_id, 1)) for _ in range(NUMBERED_FROM)]
    async with scene.database.connection() as sequencer:
        async with scene.database.transaction() as connection:
            await scene.bulk.post(connection, orders)
            late = await scene.holder()
            refused = await number_events(sequencer)
            assert (refused.events, refused.others_do) == (0, True)
        await number_all(scene.database)
    told = [event.account_id for event in await stream_of(scene.database)]
    assert told.index(late.account_id) > 5 * NUMBERED_FROM, "it committed first, and is numbered behind the posting"


async def test_two_postings_and_the_sequencer_at_once_leave_no_gap(scene: Scene) -> None:
    people = [await scene.holder(1_000) for _ in range(4)]
    is_over = asyncio.Event()

    async def number() -> None:
        while not is_over.is_set():
            async with scene.database.connection() as connection:
                await number_events(connection, 7)

    numbering = asyncio.create_task(number())
    pairs = [(people[0], people[1]), (people[2], people[3])] * 2
    await asyncio.gather(*(post(scene, payer, payee, NUMBERED_FROM) for payer, payee in pairs))
    is_over.set()
    await numbering
    await number_all(scene.database)
    events = await stream_of(scene.database)
    for person in people:
        versions = [e.account_version for e in events if e.account_id == person.account_id and e.data.get("entry")]
        assert versions == list(range(1, len(versions) + 1))


async def test_a_posting_waits_for_a_sequencer_that_numbers(scene: Scene, owner: Connection) -> None:
    payer, payee = await scene.holder(1_000), await scene.holder()
    async with owner.transaction():
        await owner.execute("SELECT number_events(1)")
        posting = asyncio.create_task(post(scene, payer, payee, NUMBERED_FROM))

        async def waits() -> bool:
            return bool(await owner.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))

        await until(waits, "the posting waits for the head", 5)
    await posting
    assert await owner.fetchval(UNNUMBERED) == 0
    await stream_of(scene.database)


async def test_where_much_waits_for_a_number_a_posting_numbers_nothing_of_its_own(
    scene: Scene, owner: Connection
) -> None:
    payer, payee = await scene.holder(1_000), await scene.holder()
    await owner.execute(
        "SELECT emit_event('delivery.dead', n::text, 'key', NULL, NULL, '{}', '{}') FROM generate_series(1, 1500) n"
    )
    await post(scene, payer, payee, NUMBERED_FROM)
    assert await owner.fetchval(UNNUMBERED) > 5 * NUMBERED_FROM
    await number_all(scene.database)
    assert (await stream_of(scene.database))[-1].type == "notification.added"
