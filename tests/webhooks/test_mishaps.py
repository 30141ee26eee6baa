"""What happens to an endpoint while it is delivered to: odd answers, changes by its owner, lost wakes, lost events."""

from collections.abc import Mapping
from datetime import timedelta

import pytest

from activities.webhooks import drain
from customers.postgres import Customers
from database.connections import APPLICATION_ROLE, Database
from events.postgres.dead_letters import DeadLetters, LetterSearch
from events.postgres.sequencer import number_all
from events.postgres.stream import EventStream
from tests.connections import Connection
from tests.orders import holder
from tests.webhooks.receiver import ACCEPTED, Receiver, Said
from tests.webhooks.scene import EMIT, TYPE, Scene
from webhooks.attempt import WebhookAnswer
from webhooks.endpoint import EndpointState
from webhooks.http_client import WebhookConnections
from webhooks.postgres.endpoints import EndpointChanges
from webhooks.postgres.replays import send_dead_again


@pytest.fixture
def scene(database: Database) -> Scene:
    return Scene(database)


@pytest.fixture
async def receiver() -> Receiver:  # type: ignore[misc]
    async with Receiver.running() as receiver:
        yield receiver


async def states(scene: Scene, endpoint: object) -> list[str]:
    return [one.state.value for one in await scene.deliveries(endpoint)]  # type: ignore[arg-type]


async def test_an_absurd_retry_after_holds_up_its_own_account_alone(scene: Scene, receiver: Receiver) -> None:
    absurd: Said = (503, {"Retry-After": "Fri, 31 Dec 2026 23:59:59 +99999999999999999999"}, b"")
    endpoint = await scene.made(receiver.url)
    receiver.rule = lambda one: absurd if one.body["partitionkey"] == "acc_2" else ACCEPTED
    await scene.emit("acc_1", "acc_2", "acc_1")
    step = await scene.drain(endpoint.id)
    assert (step.delivered, step.failed) == (2, 1)
    assert await states(scene, endpoint) == ["delivered", "pending", "delivered"]


async def test_a_step_that_a_fault_ends_has_recorded_what_was_accepted(
    scene: Scene, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = await scene.made(receiver.url)
    await scene.emit("acc_1", "acc_1")
    opened = await scene.outgoing.open(endpoint.id)
    assert opened is not None
    step = scene.step()

    async def dies(*_: object, **__: object) -> None:
        await receiver.gets(2)
        raise ZeroDivisionError

    monkeypatch.setattr(step, "_progress", dies)
    with pytest.raises(ZeroDivisionError):
        await step.run(opened)
    assert (await states(scene, endpoint))[0] == "delivered"


@pytest.mark.parametrize("act", ["change", "delete", "rotate"])
async def test_a_change_counts_before_the_next_event_of_a_running_step(
    scene: Scene, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, act: str
) -> None:
    endpoint = await scene.made(receiver.url)
    await scene.emit("acc_1", "acc_1", "acc_1")
    monkeypatch.setattr(drain, "CHECK_MILLISECONDS", 0)
    post = WebhookConnections.post

    async def changed_meanwhile(self: WebhookConnections, headers: Mapping[str, str], text: str) -> WebhookAnswer:
        if act == "change":
            await scene.endpoints.change(None, endpoint.id, EndpointChanges(url=f"{receiver.url}/new"))
        elif act == "delete":
            await scene.endpoints.delete(None, endpoint.id)
        else:
            await scene.endpoints.rotate_secret(None, endpoint.id)
        return await post(self, headers, text)

    monkeypatch.setattr(WebhookConnections, "post", changed_meanwhile)
    step = await scene.drain(endpoint.id)
    assert (len(receiver.received), step.delivered, step.more) == (1, 1, True)


async def test_a_step_whose_process_is_about_to_stop_sends_no_further_event(scene: Scene, receiver: Receiver) -> None:
    endpoint = await scene.made(receiver.url)
    await scene.emit("acc_1", "acc_1", "acc_1")

    def stop(_: object) -> Said:
        scene.stops = True
        return ACCEPTED

    receiver.rule = stop
    assert (await scene.drain(endpoint.id)).delivered == 1
    assert await states(scene, endpoint) == ["delivered", "pending", "pending"]


async def test_the_endpoint_of_a_disabled_customer_gets_nothing_until_they_are_enabled(
    scene: Scene, receiver: Receiver, customers: Customers, owner: Connection
) -> None:
    ada = await holder(customers)
    endpoint = await scene.made(receiver.url, TYPE, owner_id=ada.id)
    opened = await scene.outgoing.open(endpoint.id)
    assert opened is not None
    await owner.execute("UPDATE customers SET disabled_at = now() WHERE id = $1", ada.id)
    await scene.emit("acc_1", audience=(ada.id,))
    await scene.step().run(opened)
    step = await scene.drain(endpoint.id)
    assert (receiver.received, step.more, step.wait_milliseconds) == ([], False, None)
    assert "owner is disabled" in step.waits_for
    await scene.pass_time(hours=1)
    assert (await scene.outgoing.wake(), await scene.outgoing.left_alone(0)) == ([], [])
    await owner.execute("UPDATE customers SET disabled_at = NULL WHERE id = $1", ada.id)
    assert await scene.outgoing.wake() == [endpoint.id]
    assert (await scene.drain(endpoint.id)).delivered == 1


async def test_a_replay_that_is_asked_for_while_the_fan_out_is_behind_keeps_the_order(
    scene: Scene, receiver: Receiver
) -> None:
    endpoint = await scene.made(receiver.url)
    await scene.emit("acc_1")
    async with scene.database.connection() as connection:
        for number in range(3):
            await connection.execute(EMIT, TYPE, f"whe_{number}", "acc_1", [])
    await number_all(scene.database)
    third = (await EventStream(scene.database).after(2, 1))[0].occurred_at
    await scene.endpoints.replay(None, endpoint.id, third + timedelta(seconds=10))
    await scene.drain(endpoint.id)
    await scene.drain(endpoint.id)
    await scene.fan_out()
    await scene.drain(endpoint.id)
    sequence = [int(one.body["sequence"]) for one in receiver.received]
    assert (sequence, len(sequence)) == (sorted(sequence), 4)


@pytest.mark.parametrize("act", ["replay", "delete"])
async def test_a_replay_or_a_deletion_whose_wake_was_lost_is_found_again(
    scene: Scene, receiver: Receiver, act: str
) -> None:
    endpoint = await scene.made(receiver.url)
    await scene.emit("acc_1")
    await scene.drain(endpoint.id)
    if act == "replay":
        await scene.endpoints.replay(None, endpoint.id, endpoint.created_at)
    else:
        await scene.endpoints.delete(None, endpoint.id)
    assert await scene.outgoing.wake() == [endpoint.id]
    assert await scene.outgoing.wake() == [], "whoever was to send the signal has died"
    assert await scene.outgoing.left_alone(0) == [endpoint.id]
    if act == "replay":
        await scene.drain(endpoint.id)
        await scene.drain(endpoint.id)
    else:
        assert await scene.outgoing.open(endpoint.id) is None
    assert (await scene.outgoing.wake(), await scene.outgoing.left_alone(0)) == ([], [])


async def test_an_idle_endpoint_is_not_disabled_for_what_failed_days_ago(scene: Scene, receiver: Receiver) -> None:
    endpoint = await scene.made(receiver.url, TYPE)
    receiver.rule = lambda _: (500, {}, b"")
    await scene.endpoints.test(None, endpoint.id)
    await scene.drain(endpoint.id)
    assert (await scene.now(endpoint)).failures == 0, "a test says nothing of events"
    await scene.emit("acc_1")
    await scene.drain(endpoint.id)
    await scene.pass_time(days=6)
    step = await scene.drain(endpoint.id)
    assert (step.failed, (await scene.now(endpoint)).state) == (1, EndpointState.ENABLED)
    receiver.rule = lambda _: ACCEPTED
    await scene.pass_time(hours=1)
    await scene.drain(endpoint.id)
    assert (await scene.now(endpoint)).failures == 0


async def test_a_lost_event_is_no_failure_of_its_endpoint_and_its_name_alone_is_never_sent(
    scene: Scene, receiver: Receiver, owner: Connection, database_url: str
) -> None:
    endpoint = await scene.made(receiver.url, TYPE)
    await scene.endpoints.change(None, endpoint.id, EndpointChanges(enabled=False))
    await scene.emit("acc_1")
    async with owner.transaction():
        await owner.execute("SET LOCAL session_replication_role = replica")
        await owner.execute("DELETE FROM outbox_events")
    await scene.endpoints.change(None, endpoint.id, EndpointChanges(enabled=True))
    await scene.drain(endpoint.id)
    assert ((await scene.now(endpoint)).failures, await states(scene, endpoint)) == (0, ["dead"])
    letters = (await DeadLetters(scene.database).find_all(LetterSearch(), 10)).items
    async with Database(database_url, connections=1, role=APPLICATION_ROLE) as api, api.transaction() as connection:
        await send_dead_again(connection, letters)
    await scene.drain(endpoint.id)
    assert receiver.received == []


async def test_each_of_several_former_secrets_signs_for_its_own_day(scene: Scene, receiver: Receiver) -> None:
    endpoint, first = await scene.endpoints.create(None, receiver.url, [])
    _, second = await scene.endpoints.rotate_secret(None, endpoint.id)
    await scene.pass_time(hours=10)
    _, third = await scene.endpoints.rotate_secret(None, endpoint.id)
    _, fourth = await scene.endpoints.rotate_secret(None, endpoint.id)
    for hours, keys in ((13, (fourth, third, second, first)), (2, (fourth, third, second)), (10, (fourth,))):
        await scene.pass_time(hours=hours)
        opened = await scene.outgoing.open(endpoint.id)
        assert opened is not None
        assert opened.keys == keys, hours
