"""API keys: shown once, kept as hashes, bounded by their scopes, and revoked in every process at once."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from api_services import compose_api
from customers.api_keys.api_key import Scope
from database.connections import Database
from settings import Settings
from tests.api.people import PASSWORD, Person, client_of
from tests.connections import Connection

KEYS = "/v1/auth/api-keys"


@pytest.fixture
async def elsewhere(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """Another process of the API: it shares nothing with the first one but the database."""
    assert settings.database_url is not None
    async with (
        Database(settings.database_url, connections=5) as database,
        client_of(settings, compose_api(settings, database, with_worker=False)) as client,
    ):
        yield client


async def made(person: Person, *scopes: str) -> dict[str, Any]:
    answer = await person.post(KEYS, {"name": "A shop", "scopes": scopes, "password": PASSWORD})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def answered(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def test_a_key_does_what_its_scopes_say_and_nothing_else(ada: Person, ben: Person) -> None:
    reader = replace(ada, token=(await made(ada, "transfers:read"))["key"])
    writer = replace(ada, token=(await made(ada, "transfers:write", "accounts:read"))["key"])
    assert (await reader.get("/v1/auth/me")).json()["id"] == ada.id
    assert (await reader.get("/v1/transfers")).status_code == 200
    assert answered(await reader.get("/v1/accounts")) == (403, "scope_missing")
    assert answered(await reader.pay(ben, 100)) == (403, "scope_missing")
    assert answered(await writer.get("/v1/transfers")) == (403, "scope_missing")
    paid = await writer.pay(ben, 100, "k")
    assert (paid.status_code, paid.json()["state"]) == (201, "completed")
    # The key of a request is the customer's, by whatever they sign in.
    assert (await ada.pay(ben, 100, "k")).headers["Idempotent-Replayed"] == "true"
    assert answered(await writer.post("/v1/accounts", {"currency": "EUR"})) == (403, "scope_missing")
    assert (await writer.get(f"/v1/accounts/{ben.account_id}")).status_code == 404
    assert await ben.balance() == 100


async def test_no_key_manages_credentials_or_does_the_work_of_staff(admin: Person, ada: Person, ben: Person) -> None:
    paid = (await ada.pay(ben, 100)).json()
    key = replace(admin, token=(await made(admin, *Scope))["key"])
    for path in ("/v1/admin/stats", KEYS, "/v1/auth/sessions"):
        assert answered(await key.get(path)) == (403, "api_key_refused")
    for path, body in (
        (KEYS, {"name": "Another", "scopes": ["transfers:read"], "password": PASSWORD}),
        ("/v1/auth/password", {"current_password": "x", "new_password": "another horse battery"}),
        ("/v1/auth/logout", None),
        (f"/v1/admin/customers/{ada.id}/disable", {"reason": "Because"}),
    ):
        assert answered(await key.post(path, body)) == (403, "api_key_refused")
    # Signed in, an admin may reverse it.
    reversal = await key.post(f"/v1/transfers/{paid['id']}/reversals", {"reason": "Because"})
    assert reversal.status_code in (403, 404)
    assert (await key.get("/v1/auth/me")).json()["role"] == "customer"


async def test_a_revoked_key_and_one_of_a_disabled_customer_end_in_every_process(
    ada: Person, ben: Person, operator: Person, elsewhere: httpx.AsyncClient
) -> None:
    first, second = await made(ada, "transfers:read"), await made(ada, "transfers:read")

    async def status(key: str) -> int:
        return (await elsewhere.get("/v1/transfers", headers={"Authorization": f"Bearer {key}"})).status_code

    assert [await status(first["key"]), await status(second["key"])] == [200, 200]
    path = f"{KEYS}/{first['id']}"
    theirs, mine = ({"Authorization": f"Bearer {who.token}"} for who in (ben, ada))
    assert answered(await ada.http.delete(path, headers=theirs)) == (404, "api_key_not_found")
    for _ in range(2):
        assert (await ada.http.delete(path, headers=mine)).status_code == 204
    assert [await status(first["key"]), await status(second["key"])] == [401, 200]
    await operator.post(f"/v1/admin/customers/{ada.id}/disable", {"reason": "Reported as stolen"})
    assert await status(second["key"]) == 401


async def test_a_key_is_shown_once_and_kept_as_a_hash(
    ada: Person, admin: Person, owner: Connection, elsewhere: httpx.AsyncClient
) -> None:
    key = await made(ada, "transfers:read", "transfers:read")
    assert (key["scopes"], key["last_used_at"]) == (["transfers:read"], None)
    row = await owner.fetchrow("SELECT * FROM api_keys")
    assert row is not None
    assert key["key"][-43:] not in str(row)
    user = replace(ada, token=key["key"])
    for _ in range(2):
        assert (await user.get("/v1/transfers")).status_code == 200
    listed = (await ada.get(KEYS)).json()["items"]
    assert key["key"] not in str(listed)
    assert listed[0]["last_used_at"] is not None
    events = (await admin.get("/v1/admin/auth-events", customer_id=ada.id, kind="api_key_created")).json()["items"]
    assert [event["facts"] for event in events] == [{"api_key_id": key["id"], "scopes": ["transfers:read"]}]
    forged = key["key"][:-1] + ("A" if key["key"][-1] != "A" else "B")
    for wrong in (forged, "rmk_", key["id"], key["key"] + "x"):
        user.token = wrong
        assert answered(await user.get("/v1/transfers")) == (401, "not_authenticated")


async def test_a_key_with_no_scope_or_an_unknown_one_is_not_made(ada: Person) -> None:
    for scopes in ([], ["admin:write"]):
        assert (await ada.post(KEYS, {"name": "A shop", "scopes": scopes, "password": PASSWORD})).status_code == 422


async def test_an_access_token_alone_makes_no_key_and_a_wrong_password_counts_as_at_sign_in(
    ada: Person, owner: Connection
) -> None:
    wanted = {"name": "A shop", "scopes": ["transfers:read"]}
    assert (await ada.post(KEYS, wanted)).status_code == 422
    assert answered(await ada.post(KEYS, wanted | {"password": "something else"})) == (403, "password_wrong")
    assert await owner.fetchval("SELECT count(*) FROM sign_in_failures") > 0
    assert (await ada.get(KEYS)).json()["items"] == []


async def test_a_key_that_may_not_read_events_does_not_say_where_they_go(ada: Person) -> None:
    wanted = {"url": "https://hooks.example/all", "types": []}
    endpoint = f"/v1/webhook-endpoints/{(await ada.post('/v1/webhook-endpoints', wanted)).json()['id']}"
    alone = replace(ada, token=(await made(ada, "webhooks:write", "webhooks:read"))["key"])
    headers = {"Authorization": f"Bearer {alone.token}"}
    for answer in (
        await alone.post("/v1/webhook-endpoints", wanted),
        await alone.http.patch(endpoint, json={"url": "https://hooks.example/mine"}, headers=headers),
        await alone.post(f"{endpoint}/replay", {"since": "2026-01-01T00:00:00Z"}),
    ):
        assert answered(answer) == (403, "scope_missing")
        assert "events:read" in answer.json()["detail"]
    both = replace(ada, token=(await made(ada, "webhooks:write", "events:read"))["key"])
    assert (await both.post("/v1/webhook-endpoints", wanted)).status_code == 201
