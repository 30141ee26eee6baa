"""Webhook endpoints over HTTP, and what reaches them by their workflows."""

import json
import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from standardwebhooks import Webhook
from temporalio.client import Client

from database.connections import Database
from devenv.servers.temporal_server import TemporalServer
from ledger.ids import EndpointId
from ledger.workflow_ids import webhook_workflow_id
from settings import Settings
from tests.api.people import PASSWORD, Person
from tests.connections import Connection
from tests.waiting import until
from tests.webhooks.receiver import Receiver
from tests.workflows.sagas import details

URL = "https://shop.example.com/remit"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"webhook_allow": "127.0.0.1"})


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver.running() as receiver:
        yield receiver


async def made(person: Person, url: str = URL, *types: str, path: str = "/v1/webhook-endpoints") -> dict[str, Any]:
    answer = await person.post(path, {"url": url, "types": list(types)})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def patched(person: Person, endpoint_id: str, **changes: object) -> dict[str, Any]:
    path = f"/v1/webhook-endpoints/{endpoint_id}"
    answer = await person.http.patch(path, json=changes, headers={"Authorization": f"Bearer {person.token}"})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def deliveries(person: Person, endpoint_id: str) -> list[dict[str, Any]]:
    answer = await person.get(f"/v1/webhook-endpoints/{endpoint_id}/deliveries", limit=50)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


async def hurry(database: Database) -> None:
    """Let the next attempt be due, once the failure is recorded."""
    held = """
        UPDATE delivery_queues SET next_attempt_at = now() WHERE next_attempt_at > now() + interval '1 second'
    """

    async def is_done() -> bool:
        async with database.connection() as connection:
            return await connection.execute(held) == "UPDATE 1"

    await until(is_done, "an attempt is due later")


async def test_the_secret_of_an_endpoint_is_shown_once(ada: Person) -> None:
    key = secrets.token_hex(8)
    body = {"url": URL, "types": ["transfer.completed"]}
    first = await ada.post("/v1/webhook-endpoints", body, key)
    endpoint = first.json()
    assert (first.status_code, endpoint["state"], endpoint["types"]) == (201, "enabled", ["transfer.completed"])
    assert endpoint["secret"].startswith("whsec_")
    again = await ada.post("/v1/webhook-endpoints", body, key)
    assert (again.status_code, again.json()) == (201, endpoint | {"secret": None})
    assert again.headers["Location"] == first.headers["Location"] == f"/v1/webhook-endpoints/{endpoint['id']}"
    shown = (await ada.get(first.headers["Location"])).json()
    listed = (await ada.get("/v1/webhook-endpoints")).json()["items"]
    assert listed == [shown]
    assert "secret" not in shown


@pytest.mark.parametrize(
    "url", ["https://10.0.0.1/", "https://2130706433/", "http://8.8.8.8/", "https://a:b@c.example/"]
)
async def test_an_endpoint_at_a_url_that_is_refused_is_not_made(ada: Person, url: str) -> None:
    refused = await ada.post("/v1/webhook-endpoints", {"url": url, "types": []})
    assert (refused.status_code, refused.json()["code"]) == (422, "webhook_url_refused")
    assert (await ada.get("/v1/webhook-endpoints")).json()["items"] == []


async def test_an_endpoint_belongs_to_its_owner_alone(ada: Person, ben: Person, admin: Person) -> None:
    endpoint = await made(ada)
    ours = await made(admin, path="/v1/admin/webhook-endpoints")
    for person, path in (
        (ben, f"/v1/webhook-endpoints/{endpoint['id']}"),
        (ben, f"/v1/webhook-endpoints/{endpoint['id']}/deliveries"),
        (admin, f"/v1/webhook-endpoints/{endpoint['id']}"),
        (admin, f"/v1/admin/webhook-endpoints/{endpoint['id']}"),
        (ada, f"/v1/webhook-endpoints/{ours['id']}"),
    ):
        answer = await person.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "webhook_endpoint_not_found"), path
    assert (await ben.get("/v1/webhook-endpoints")).json()["items"] == []
    acts = (await admin.get("/v1/admin/actions", subject=ours["id"])).json()["items"]
    assert [act["action"] for act in acts] == ["manage_webhooks"]


async def test_a_customer_has_twenty_endpoints_at_most(ada: Person) -> None:
    for _ in range(20):
        await made(ada)
    refused = await ada.post("/v1/webhook-endpoints", {"url": URL, "types": []})
    assert (refused.status_code, refused.json()["code"]) == (409, "too_many_webhook_endpoints")


async def test_an_endpoint_that_fails_twice_gets_its_event_in_order(
    ada: Person, ben: Person, receiver: Receiver, temporal: TemporalServer, database: Database
) -> None:
    endpoint = await made(ada, receiver.url, "transfer.debited")
    receiver.answers = [(500, {}, b"not yet"), (500, {}, b"not yet")]
    for _ in range(2):
        await ada.pay(ben, 1_000)
    for tried in (1, 2):
        await receiver.gets(tried)
        await hurry(database)
    await receiver.gets(4)

    async def is_over() -> bool:
        return [one["state"] for one in await deliveries(ada, endpoint["id"])] == ["delivered"] * 2

    await until(is_over, "all is delivered")
    second, first = await deliveries(ada, endpoint["id"])
    assert [tried["status"] for tried in first["attempts"]] == [500, 500, 204]
    assert first["attempts"][0]["response"] == "not yet"
    assert receiver.ids == [first["event_id"]] * 3 + [second["event_id"]]
    for one in receiver.received:
        Webhook(endpoint["secret"]).verify(one.text, one.headers)
    client = await Client.connect(temporal.address)
    handle = client.get_workflow_handle(webhook_workflow_id(EndpointId(endpoint["id"])))
    assert "waits for the next event" in await details(handle)


async def test_a_test_is_sent_once_and_its_answer_is_listed(ada: Person, receiver: Receiver) -> None:
    endpoint = await made(ada, receiver.url, "transfer.completed")
    receiver.answers = [(404, {}, b"nobody here")]
    tested = await ada.post(f"/v1/webhook-endpoints/{endpoint['id']}/test", None)
    assert (tested.status_code, tested.json()["state"]) == (202, "pending")
    (one,) = await receiver.gets(1)
    assert (one.id, one.body["type"]) == (tested.json()["event_id"], "webhook_endpoint.test")

    async def is_over() -> bool:
        return [each["state"] for each in await deliveries(ada, endpoint["id"])] == ["dead"]

    await until(is_over, "the test has ended")
    await patched(ada, endpoint["id"], state="disabled")
    refused = await ada.post(f"/v1/webhook-endpoints/{endpoint['id']}/test", None)
    assert (refused.status_code, refused.json()["code"]) == (409, "webhook_endpoint_disabled")


async def test_a_disabled_endpoint_gets_what_was_held_and_a_replay_sends_it_again(
    ada: Person, ben: Person, receiver: Receiver
) -> None:
    endpoint = await made(ada, receiver.url, "transfer.completed")
    assert (await patched(ada, endpoint["id"], state="disabled"))["disabled_by"] == "owner"
    await ada.pay(ben, 1_000)

    async def is_held() -> bool:
        return [one["state"] for one in await deliveries(ada, endpoint["id"])] == ["pending"]

    await until(is_held, "the event is held")
    assert receiver.received == []
    assert (await patched(ada, endpoint["id"], state="enabled"))["state"] == "enabled"
    (first,) = await receiver.gets(1)
    since = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
    replayed = await ada.post(f"/v1/webhook-endpoints/{endpoint['id']}/replay", {"since": since})
    assert replayed.status_code == 202, replayed.text
    await receiver.gets(2)
    assert first.id in receiver.ids[1:]


async def test_a_deleted_endpoint_is_not_found_and_its_workflow_ends(
    ada: Person, receiver: Receiver, temporal: TemporalServer
) -> None:
    endpoint = await made(ada, receiver.url)
    await ada.post(f"/v1/webhook-endpoints/{endpoint['id']}/test", None)
    await receiver.gets(1)
    path = f"/v1/webhook-endpoints/{endpoint['id']}"
    headers = {"Authorization": f"Bearer {ada.token}"}
    assert (await ada.http.delete(path, headers=headers)).status_code == 204
    assert (await ada.get(path)).status_code == 404
    client = await Client.connect(temporal.address)
    await client.get_workflow_handle(webhook_workflow_id(EndpointId(endpoint["id"]))).result()


async def test_where_an_endpoint_sends_to_leaves_its_trace_without_a_path_or_a_secret(
    admin: Person, owner: Connection
) -> None:
    path = "/v1/admin/webhook-endpoints"
    made_here = await made(admin, "https://shop.example.com/hook-4711", path=path)
    target = f"{path}/{made_here['id']}"
    headers = {"Authorization": f"Bearer {admin.token}"}
    changes: tuple[dict[str, object], ...] = (
        {"url": "https://other.example.com/hook-4711"},
        {"url": "https://other.example.com/hook-4712"},
        {"types": ["transfer.completed"]},
    )
    for change in changes:
        answer = await admin.http.patch(target, json=change | {"reason": "Moved"}, headers=headers)
        assert answer.status_code == 200, answer.text
    rotated = await admin.post(f"{target}/rotate-secret", None)
    assert rotated.status_code == 200, rotated.text
    rows = await owner.fetch(
        "SELECT * FROM audit_records WHERE subject = $1 AND kind LIKE 'webhook_endpoint.%' ORDER BY id", made_here["id"]
    )
    assert [row["kind"] for row in rows] == ["webhook_endpoint.created"] + ["webhook_endpoint.changed"] * 4
    after = [json.loads(row["after"]) for row in rows]
    assert [each.get("changed") for each in after] == [None, ["url"], ["url"], ["types"], ["secrets"]]
    assert [each["host"] for each in after] == ["shop.example.com"] + ["other.example.com"] * 4
    assert json.loads(rows[1]["before"])["host"] == "shop.example.com"
    assert {row["actor_id"] for row in rows} == {admin.id}
    acts = (await admin.get("/v1/admin/actions", subject=made_here["id"])).json()["items"]
    assert [act["after"].get("host") for act in acts][::-1] == [*[each["host"] for each in after][:4], None]
    assert (acts[3]["before"]["host"], acts[3]["reason"]) == ("shop.example.com", "Moved")
    answered = str([dict(row) for row in rows]) + str(acts)
    for private in ("hook-471", rotated.json()["secret"], made_here["secret"]):
        assert private not in answered


async def test_an_owner_is_told_where_their_events_go_from_now_on(ada: Person) -> None:
    endpoint = await made(ada, "https://shop.example.com/hook-4711")
    await patched(ada, endpoint["id"], types=["transfer.completed"])
    for _ in range(2):
        await patched(ada, endpoint["id"], url="https://other.example.com/hook-4711")
    items = (await ada.get("/v1/notifications")).json()["items"]
    bodies = [item["body"] for item in items if endpoint["id"] in item["body"]]
    assert ["other.example.com" in body for body in bodies] == [True, False]
    assert not any("4711" in body for body in bodies)


async def test_an_endpoint_is_its_customers_and_outlives_the_key_that_made_it(ada: Person) -> None:
    scopes = ["webhooks:write", "webhooks:read", "events:read"]
    key = (await ada.post("/v1/auth/api-keys", {"name": "shop", "scopes": scopes, "password": PASSWORD})).json()
    headers = {"Authorization": f"Bearer {key['key']}", "Idempotency-Key": secrets.token_hex(8)}
    made_by_key = await ada.http.post("/v1/webhook-endpoints", json={"url": URL, "types": []}, headers=headers)
    assert made_by_key.status_code == 201, made_by_key.text
    revoked = await ada.http.delete(f"/v1/auth/api-keys/{key['id']}", headers={"Authorization": f"Bearer {ada.token}"})
    assert revoked.status_code == 204
    assert (await ada.http.get("/v1/webhook-endpoints", headers=headers)).status_code == 401
    (endpoint,) = (await ada.get("/v1/webhook-endpoints")).json()["items"]
    assert (endpoint["id"], endpoint["state"]) == (made_by_key.json()["id"], "enabled")
