"""Deliveries: at least once, in the order of each account, and one that fails holds up its own account alone.

What can go wrong, and the test of it: the endpoint refuses, is busy, gone or away, for a moment or for days; it is
disabled; a worker dies between the answer and the row; two steps run at once; an event is added while its queue is
being emptied.
"""

import asyncio

import pytest
from standardwebhooks import Webhook

from customers.postgres import Customers
from database.connections import APPLICATION_ROLE, Database
from events.dead_letter import LetterState
from events.postgres.dead_letters import DeadLetters, LetterSearch, lock_letters
from ledger.postgres.book import Book
from tests.connections import Connection
from tests.orders import completed, funded, holder, order
from tests.webhooks.receiver import ACCEPTED, Receiver, Said
from tests.webhooks.scene import TYPE, Scene
from webhooks.endpoint import DeliveryState, DisabledBy, EndpointState
from webhooks.postgres.endpoints import EndpointChanges
from webhooks.postgres.held import give_up_long_held
from webhooks.postgres.replays import send_dead_again
from webhooks.schedule import PAUSES

FAILED: Said = (500, {}, b"no")


@pytest.fixture
def scene(database: Database) -> Scene:
    return Scene(database)


@pytest.fixture
async def receiver() -> Receiver:  # type: ignore[misc]
    async with Receiver.running() as receiver:
        yield receiver


async def states(scene: Scene, endpoint: object) -> list[str]:
    return [one.state.value for one in await scene.deliveries(endpoint)]  # type: ignore[arg-type]


async def test_a_webhook_is_a_signed_cloud_event_under_the_events_id(scene: Scene, receiver: Receiver) -> None:
    endpoint, secret = await scene.endpoints.create(None, receiver.url, [])
    await scene.emit("acc_1")
    assert (await scene.drain(endpoint.id)).delivered == 1
    (one,) = receiver.received
    assert Webhook(secret).verify(one.text, one.headers) == one.body
    assert one.headers["content-type"] == "application/cloudevents+json; charset=utf-8"
    assert (one.body["specversion"], one.body["id"], one.body["type"]) == ("1.0", one.id, TYPE)
    (delivery,) = await scene.deliveries(endpoint)
    assert (delivery.event_id, delivery.state, delivery.attempts) == (one.id, DeliveryState.DELIVERED, 1)
    assert [(tried.status, tried.error) for tried in delivery.tries] == [(204, None)]


async def test_an_event_that_fails_twice_comes_in_order_and_holds_up_its_own_account_alone(
    scene: Scene, receiver: Receiver
) -> None:
    endpoint = await scene.made(receiver.url)
    receiver.rule = lambda one: FAILED if one.body["partitionkey"] == "acc_1" else ACCEPTED
    await scene.emit("acc_1", "acc_1", "acc_2", "acc_1", "acc_2")
    assert (await scene.drain(endpoint.id)).delivered == 2
    await scene.pass_time(hours=1)
    await scene.drain(endpoint.id)
    keys = [one.body["partitionkey"] for one in receiver.received]
    assert sorted(keys) == ["acc_1", "acc_1", "acc_2", "acc_2"], "the others of acc_1 wait"
    assert await states(scene, endpoint) == ["pending", "pending", "delivered", "pending", "delivered"]
    receiver.rule = lambda _: ACCEPTED
    await scene.pass_time(hours=1)
    step = await scene.drain(endpoint.id)
    assert (step.delivered, step.failed) == (3, 0)
    sequence = [int(one.body["sequence"]) for one in receiver.received if one.body["partitionkey"] == "acc_1"]
    assert sequence[1:] == sorted(sequence[1:])
    (first, *_) = await scene.deliveries(endpoint)
    assert [(tried.number, tried.status, tried.response) for tried in first.tries] == [
        (1, 500, "no"),
        (2, 500, "no"),
        (3, 204, ""),
    ]


async def test_a_customers_endpoint_gets_their_own_events_as_they_may_see_them(
    scene: Scene, receiver: Receiver, customers: Customers, book: Book
) -> None:
    ada, ben = await funded(customers, book, 1_000), await holder(customers)
    async with Receiver.running() as of_ben, Receiver.running() as of_platform:
        endpoints = [
            await scene.made(receiver.url, "transfer.completed", owner_id=ada.id),
            await scene.made(of_ben.url, owner_id=ben.id),
            await scene.made(of_platform.url, "transfer.completed"),
        ]
        await completed(book, order(ada.id, ada.account_id, ben.account_id, 300))
        await scene.fan_out()
        for endpoint in endpoints:
            await scene.drain(endpoint.id)
        (hers,), (his,), (ours,) = receiver.received, of_ben.received, of_platform.received
    assert {one.body["type"] for one in (hers, his, ours)} == {"transfer.completed"}
    assert hers.body["data"]["entry"] is None, "the entry is that of ben's account"
    assert his.body["data"]["entry"]["balance_after"] == 300
    assert ours.body["data"]["entry"]["balance_after"] == 300
    assert hers.id == his.id == ours.id


async def test_an_endpoint_gets_what_happens_after_it_was_made(scene: Scene, receiver: Receiver) -> None:
    await scene.emit("acc_1")
    endpoint = await scene.made(receiver.url)
    scene.fanned_out = 0
    await scene.emit("acc_1")
    assert (await scene.drain(endpoint.id)).delivered == 1


async def test_a_step_that_died_before_its_record_sends_once_more_under_the_same_id(
    scene: Scene, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = await scene.made(receiver.url)
    await scene.emit("acc_1", "acc_1")
    opened = await scene.outgoing.open(endpoint.id)
    assert opened is not None
    step = scene.step()

    async def dies(*_: object) -> None:
        raise ConnectionError("killed")

    monkeypatch.setattr(step._outgoing, "record", dies)  # noqa: SLF001
    with pytest.raises(ConnectionError):
        await step.run(opened)
    assert await states(scene, endpoint) == ["pending", "pending"]
    assert (await scene.drain(endpoint.id)).delivered == 2
    assert len(set(receiver.ids)) == 2
    assert receiver.ids[-2:] == [one.event_id for one in await scene.deliveries(endpoint)]


async def test_two_steps_at_once_lose_nothing(scene: Scene, receiver: Receiver) -> None:
    endpoint = await scene.made(receiver.url)
    await scene.emit(*(f"acc_{number % 7}" for number in range(70)))
    await asyncio.gather(*(scene.drain(endpoint.id) for _ in range(3)))
    await scene.drain(endpoint.id)
    assert len(set(receiver.ids)) == 70
    assert set(await states(scene, endpoint)) == {"delivered"}


async def test_an_event_added_while_its_queue_is_emptied_is_not_lost(scene: Scene, receiver: Receiver) -> None:
    endpoint = await scene.made(receiver.url)

    async def add() -> None:
        for _ in range(15):
            await scene.emit("acc_1")

    adding = asyncio.create_task(add())
    while not adding.done():
        await scene.drain(endpoint.id)
    await adding
    await scene.drain(endpoint.id)
    assert len(receiver.ids) == 15
    assert (await scene.outgoing.left_alone(0)) == []


async def test_an_endpoint_that_fails_for_all_is_tried_with_one_event_and_then_gets_all_at_once(
    scene: Scene, receiver: Receiver
) -> None:
    endpoint = await scene.made(receiver.url)
    receiver.rule = lambda _: (503, {}, b"")
    await scene.emit(*(f"acc_{number}" for number in range(30)))
    await scene.drain(endpoint.id)
    assert (await scene.now(endpoint)).state is EndpointState.FAILING
    tried = len(receiver.received)
    assert tried <= 20, "those that were on their way"
    for _ in range(3):
        await scene.drain(endpoint.id)
        assert len(receiver.received) == tried, "it rests"
    async with scene.database.connection() as connection:
        await connection.execute("UPDATE webhook_endpoints SET resting_until = now() WHERE id = $1", endpoint.id)
    step = await scene.drain(endpoint.id)
    assert (len(receiver.received), step.wait_milliseconds is not None) == (tried + 1, True)
    receiver.rule = lambda _: ACCEPTED
    async with scene.database.connection() as connection:
        await connection.execute("UPDATE webhook_endpoints SET resting_until = now() WHERE id = $1", endpoint.id)
    assert (await scene.drain(endpoint.id)).delivered == 30
    assert (await scene.now(endpoint)).state is EndpointState.ENABLED
    emitted = await scene.emitted("webhook_endpoint.failing")
    assert [data["webhook_endpoint"]["state"] for data in emitted] == ["failing"]


async def test_a_busy_endpoint_is_left_alone_as_long_as_it_asks(scene: Scene, receiver: Receiver) -> None:
    endpoint = await scene.made(receiver.url)
    receiver.answers = [(429, {"Retry-After": "1800"}, b"")]
    await scene.emit("acc_1")
    step = await scene.drain(endpoint.id)
    assert step.wait_milliseconds is not None
    assert 1_790_000 < step.wait_milliseconds <= 1_800_000
    await scene.emit("acc_2")
    await scene.drain(endpoint.id)
    assert len(receiver.received) == 1
    await scene.pass_time(hours=1)
    assert (await scene.drain(endpoint.id)).delivered == 2


async def test_an_endpoint_that_is_gone_is_disabled_and_gets_what_was_held_once_it_is_enabled(
    scene: Scene, receiver: Receiver, customers: Customers, owner: Connection
) -> None:
    ada = await holder(customers)
    await scene.fan_out()
    endpoint = await scene.made(receiver.url, owner_id=ada.id)
    receiver.answers = [(410, {}, b"")]
    await scene.emit("acc_1", "acc_1", audience=(ada.id,))
    assert (await scene.drain(endpoint.id)).state is EndpointState.DISABLED
    now = await scene.now(endpoint)
    assert (now.state, now.disabled_by) == (EndpointState.DISABLED, DisabledBy.GONE)
    await scene.emit("acc_2", audience=(ada.id,))
    await scene.drain(endpoint.id)
    assert len(receiver.received) == 1
    assert await scene.outgoing.wake() == []
    (warned,) = await owner.fetch("SELECT body FROM notifications WHERE occasion LIKE 'whe\\_%/disabled/%'")
    assert "410 Gone" in warned["body"]
    await scene.endpoints.change(ada.id, endpoint.id, EndpointChanges(enabled=True))
    assert await scene.outgoing.wake() == [endpoint.id]
    await scene.drain(endpoint.id)
    assert set(await states(scene, endpoint)) == {"delivered"}
    assert len(await scene.emitted("webhook_endpoint.disabled")) == 1


async def test_an_endpoint_that_fails_for_days_warns_its_owner_and_is_disabled_and_nothing_is_lost(
    scene: Scene, receiver: Receiver, customers: Customers, owner: Connection
) -> None:
    ada = await holder(customers)
    await scene.fan_out()
    endpoint = await scene.made(receiver.url, owner_id=ada.id)
    receiver.rule = lambda _: FAILED
    await scene.emit("acc_1", audience=(ada.id,))
    for half_days in range(12):
        await scene.drain(endpoint.id)
        emitted = [row["occasion"] for row in await owner.fetch("SELECT occasion FROM notifications")]
        warned, ended = (sum(f"/{what}/" in name for name in emitted) for what in ("failing", "disabled"))
        assert (warned, ended) == (half_days >= 5, half_days >= 10), half_days
        await scene.pass_time(hours=12)
        await owner.execute("UPDATE delivery_queues SET next_attempt_at = now()")
    assert (await scene.now(endpoint)).disabled_by is DisabledBy.FAILURES
    assert len(receiver.received) == 11
    assert await states(scene, endpoint) == ["pending"]


async def test_an_event_that_is_never_accepted_is_a_dead_letter_and_the_next_of_its_account_comes(
    scene: Scene, receiver: Receiver, owner: Connection, database_url: str
) -> None:
    endpoint = await scene.made(receiver.url)
    await scene.emit("acc_1", "acc_1")
    (first, _) = await scene.deliveries(endpoint)
    receiver.rule = lambda one: FAILED if one.id == first.event_id else ACCEPTED
    await owner.execute("UPDATE deliveries SET failures = $1 WHERE event_id = $2", len(PAUSES), first.event_id)
    await scene.drain(endpoint.id)
    assert await states(scene, endpoint) == ["dead", "delivered"]
    (letter,) = (await DeadLetters(scene.database).find_all(LetterSearch(state=LetterState.DEAD), 10)).items
    assert (letter.source, letter.target, letter.event_id) == ("webhooks", endpoint.id, first.event_id)
    assert (letter.reason, letter.body) == ("status 500: no", receiver.received[0].body)
    # Sent again, it goes under its own id, and only there.
    receiver.rule = lambda _: ACCEPTED
    async with Database(database_url, connections=1, role=APPLICATION_ROLE) as api, api.transaction() as connection:
        await send_dead_again(connection, await lock_letters(connection, [letter.id]))
    await scene.drain(endpoint.id)
    assert receiver.ids[-1] == first.event_id
    assert set(await states(scene, endpoint)) == {"delivered"}


async def test_a_disabled_endpoint_holds_its_events(scene: Scene, receiver: Receiver) -> None:
    endpoint = await scene.made(receiver.url, TYPE)
    await scene.endpoints.change(None, endpoint.id, EndpointChanges(enabled=False))
    await scene.emit("acc_1", "acc_2")
    await scene.drain(endpoint.id)
    assert (receiver.received, await states(scene, endpoint)) == ([], ["pending", "pending"])
    await scene.endpoints.change(None, endpoint.id, EndpointChanges(enabled=True))
    assert (await scene.drain(endpoint.id)).delivered == 2


async def test_events_that_a_disabled_endpoint_has_not_got_within_90_days_are_dead_letters_and_hold_up_no_month(
    scene: Scene, receiver: Receiver, owner: Connection, database_url: str
) -> None:
    endpoint, other = await scene.made(receiver.url, TYPE), await scene.made(receiver.url, TYPE)
    await scene.endpoints.change(None, endpoint.id, EndpointChanges(enabled=False))
    await scene.emit("acc_1", "acc_1", "acc_2")
    assert await give_up_long_held(scene.database) == 0
    aged = "UPDATE deliveries SET created_at = created_at - interval '90 days' WHERE partition_key = 'acc_1'"
    await owner.execute(aged)
    assert await give_up_long_held(scene.database) == 2
    assert await give_up_long_held(scene.database) == 0
    assert await states(scene, endpoint) == ["dead", "dead", "pending"]
    assert await states(scene, other) == ["pending"] * 3, "an endpoint that is enabled is still to get them"
    letters = (await DeadLetters(scene.database).find_all(LetterSearch(target=endpoint.id), 10)).items
    assert {letter.reason for letter in letters} == {"held for 90 days: its endpoint was disabled"}
    # Staff send them again, as the letters kept them.
    await scene.endpoints.change(None, endpoint.id, EndpointChanges(enabled=True))
    async with Database(database_url, connections=1, role=APPLICATION_ROLE) as api, api.transaction() as connection:
        await send_dead_again(connection, await lock_letters(connection, [letter.id for letter in letters]))
    assert (await scene.drain(endpoint.id)).delivered == 3
    bodies = {one.id: one.body for one in receiver.received}
    assert [bodies[letter.event_id or ""] for letter in letters] == [letter.body for letter in letters]


async def test_an_owner_is_told_once_a_month_that_events_are_held_no_longer(
    scene: Scene, receiver: Receiver, customers: Customers, owner: Connection
) -> None:
    ada = await holder(customers)
    await scene.fan_out()
    endpoint = await scene.made(receiver.url, TYPE, owner_id=ada.id)
    await scene.endpoints.change(ada.id, endpoint.id, EndpointChanges(enabled=False))
    for _ in range(2):
        await scene.emit("acc_1", audience=(ada.id,))
        await owner.execute("UPDATE deliveries SET created_at = created_at - interval '91 days'")
        assert await give_up_long_held(scene.database) == 1
    emitted = await owner.fetch(
        "SELECT body FROM notifications WHERE customer_id = $1 AND occasion LIKE '%/given-up/%'", ada.id
    )
    assert [receiver.url in row["body"] for row in emitted] == [True]


async def test_a_replay_sends_everything_since_then_once_more_in_order(scene: Scene, receiver: Receiver) -> None:
    await scene.emit("acc_1")
    endpoint = await scene.made(receiver.url)
    await scene.emit("acc_1", "acc_1", "acc_2")
    await scene.drain(endpoint.id)
    first = list(receiver.ids)
    await scene.endpoints.replay(None, endpoint.id, endpoint.created_at)
    assert await scene.outgoing.wake() == [endpoint.id]
    assert (await scene.drain(endpoint.id)).more
    await scene.drain(endpoint.id)
    assert set(receiver.ids[len(first) :]) == set(first), "what was before its moment stays out"
    sequence = [int(one.body["sequence"]) for one in receiver.received[len(first) :] if one.id in first[:2]]
    assert sequence == sorted(sequence)
    assert not (await scene.drain(endpoint.id)).more


async def test_a_replay_sends_what_waits_for_its_next_attempt_at_once(scene: Scene, receiver: Receiver) -> None:
    endpoint = await scene.made(receiver.url, TYPE)
    receiver.answers = [(500, {}, b"")]
    await scene.emit("acc_1")
    await scene.drain(endpoint.id)
    await scene.drain(endpoint.id)
    assert len(receiver.received) == 1
    await scene.endpoints.replay(None, endpoint.id, endpoint.created_at)
    await scene.drain(endpoint.id)
    await scene.drain(endpoint.id)
    assert (len(receiver.received), await states(scene, endpoint)) == (2, ["delivered"])


async def test_for_a_day_after_a_rotation_both_secrets_sign(scene: Scene, receiver: Receiver) -> None:
    endpoint, former = await scene.endpoints.create(None, receiver.url, [])
    _, new = await scene.endpoints.rotate_secret(None, endpoint.id)
    for hours, secrets in ((0, (new, former)), (23, (new, former)), (2, (new,))):
        await scene.pass_time(hours=hours)
        await scene.emit("acc_1")
        await scene.drain(endpoint.id)
        one = receiver.received[-1]
        assert len(one.headers["webhook-signature"].split()) == len(secrets)
        for secret in secrets:
            Webhook(secret).verify(one.text, one.headers)


async def test_a_secret_is_kept_encrypted_and_encrypted_anew(scene: Scene, owner: Connection) -> None:
    endpoint, secret = await scene.endpoints.create(None, "https://example.com/", [])
    kept = await owner.fetchval("SELECT secrets FROM webhook_endpoints WHERE id = $1", endpoint.id)
    assert secret not in kept
    assert await scene.endpoints.encrypt_anew() == 0


async def test_a_deleted_endpoint_gets_nothing_any_more(scene: Scene, receiver: Receiver) -> None:
    endpoint = await scene.made(receiver.url)
    await scene.emit("acc_1")
    await scene.endpoints.delete(None, endpoint.id)
    assert await scene.outgoing.open(endpoint.id) is None
    await scene.emit("acc_1")
    assert receiver.received == []


async def test_an_idle_endpoint_is_woken_once_for_what_comes(scene: Scene, receiver: Receiver) -> None:
    endpoint = await scene.made(receiver.url)
    assert await scene.outgoing.wake() == []
    await scene.emit("acc_1")
    assert await scene.outgoing.wake() == [endpoint.id]
    await scene.emit("acc_2")
    assert await scene.outgoing.wake() == [], "it is at work"
    await scene.drain(endpoint.id)
    assert await scene.outgoing.wake() == [], "nothing is left"
    await scene.emit("acc_1")
    assert await scene.outgoing.wake() == [endpoint.id]


async def test_an_endpoint_whose_wake_was_lost_is_found_again(scene: Scene, receiver: Receiver) -> None:
    endpoint = await scene.made(receiver.url)
    await scene.emit("acc_1")
    await scene.outgoing.wake()
    assert await scene.outgoing.left_alone(3600) == []
    await scene.pass_time(hours=2)
    assert await scene.outgoing.left_alone(3600) == [endpoint.id]


async def test_an_attempt_is_never_changed_nor_removed(scene: Scene, receiver: Receiver, owner: Connection) -> None:
    endpoint = await scene.made(receiver.url)
    await scene.emit("acc_1")
    await scene.drain(endpoint.id)
    for change in ("UPDATE delivery_attempts SET status = 200", "DELETE FROM delivery_attempts"):
        with pytest.raises(Exception, match="append"):
            await owner.execute(change)


async def test_a_step_that_listens_uses_the_url_and_the_secret_of_the_moment(scene: Scene, receiver: Receiver) -> None:
    endpoint = await scene.made("http://127.0.0.1:1/", TYPE)
    opened = await scene.outgoing.open(endpoint.id)
    assert opened is not None
    _, secret = await scene.endpoints.rotate_secret(None, endpoint.id)
    await scene.endpoints.change(None, endpoint.id, EndpointChanges(url=receiver.url))
    await scene.emit("acc_1")
    step = await scene.step().run(opened)
    assert (step.more, step.delivered, step.failed) == (True, 0, 0)
    assert (await scene.drain(endpoint.id)).delivered == 1
    Webhook(secret).verify(receiver.received[0].text, receiver.received[0].headers)
    opened = await scene.outgoing.open(endpoint.id)
    assert opened is not None
    await scene.endpoints.change(None, endpoint.id, EndpointChanges(enabled=False))
    await scene.emit("acc_1")
    assert (await scene.step().run(opened)).delivered == 0
