"""Staff read what happened, who did it and by which request; secrets are nowhere in it."""

from typing import Any

import httpx

from database.connections import Database
from ledger.ids import CustomerId
from staff.permissions import Role
from tests.api.people import PASSWORD, Person, register
from tests.orders import promoted


async def written(http: httpx.AsyncClient) -> None:
    """What waits to be recorded, as a second later."""
    app: Any = http._transport.app  # type: ignore[attr-defined]  # noqa: SLF001 - the one way to its state
    await app.state.remit.request_queue.write_all()


async def test_the_trail_tells_of_a_transfer_its_request_and_who_asked_for_it(
    ada: Person, ben: Person, admin: Person
) -> None:
    paid = await ada.pay(ben, 1_000)
    transfer, request_id = paid.json()["id"], paid.headers["Request-Id"]
    await written(ada.http)
    found = (await admin.get("/v1/admin/audit-records", transfer_id=transfer)).json()["items"]
    assert [one["kind"] for one in found] == ["transfer.completed", "transfer.debited", "transfer.initiated"]
    assert {one["request_id"] for one in found} == {request_id}
    assert found[-1]["actor_id"] == ada.id
    (request,) = (await admin.get("/v1/admin/request-records", transfer_id=transfer)).json()["items"]
    assert (request["request_id"], request["actor_id"], request["status"]) == (request_id, ada.id, 201)
    assert (request["method"], request["route"], request["caused"]) == ("POST", "/v1/transfers", [transfer])
    assert request["body"]["amount"] == 1_000
    assert request["headers"]["authorization"] == "[redacted]"


async def test_a_request_with_much_in_its_path_and_headers_waits_with_little_of_it(ada: Person) -> None:
    app: Any = ada.http._transport.app  # type: ignore[attr-defined]  # noqa: SLF001 - the one way to its state
    headers = {f"x-{number}": "v" * 1_000 for number in range(60)}
    await ada.http.post(
        "/v1/transfers/" + "/".join(f"trf_{'a' * 24}{n}{m}" for n in "bcd" for m in "efgh" * 9), headers=headers
    )
    waiting = app.state.remit.request_queue._waiting[-1]  # noqa: SLF001 - nobody else may look into it
    assert len(waiting.headers) == 40
    assert max(len(value) for _, value in waiting.headers) == 300
    assert len(waiting.caused) < 12


async def test_a_refused_action_is_on_the_trail_with_who_tried_it(ada: Person, admin: Person) -> None:
    path = f"/v1/admin/accounts/{ada.account_id}/unfreeze"
    refused = await admin.post(path, {"reason": "ticket 4711"})
    assert refused.status_code == 409
    (found,) = (await admin.get("/v1/admin/audit-records", subject=ada.account_id, outcome="refused")).json()["items"]
    assert (found["kind"], found["code"]) == ("request.admin_accounts_unfreeze", "account_not_frozen")
    assert (found["actor_id"], found["request_id"]) == (admin.id, refused.headers["Request-Id"])
    assert found["address"]


async def test_an_action_of_staff_is_on_the_trail_with_its_reason_and_request(ada: Person, admin: Person) -> None:
    done = await admin.post(f"/v1/admin/accounts/{ada.account_id}/freeze", {"reason": "ticket 4711"})
    found = (await admin.get("/v1/admin/audit-records", actor=admin.id, subject=ada.account_id)).json()["items"]
    assert {one["kind"]: one["reason"] for one in found} == {
        "account.changed": None,
        "staff.freeze_account": "ticket 4711",
    }
    assert {one["request_id"] for one in found} == {done.headers["Request-Id"]}


async def test_a_failed_sign_in_is_refused_on_the_trail_and_no_password_is_kept(
    http: httpx.AsyncClient, ada: Person, admin: Person, database: Database
) -> None:
    await http.post("/v1/auth/login", json={"email": ada.email, "password": "a wrong password"})
    await written(http)
    (found,) = (await admin.get("/v1/admin/audit-records", kind="auth.sign_in_failed")).json()["items"]
    assert (found["subject"], found["outcome"], bool(found["address"])) == (ada.id, "refused", True)
    operator = await register(http)
    await promoted(database, CustomerId(operator.id), Role.OPERATOR)
    assert (await operator.get("/v1/admin/audit-records", kind="auth.")).json()["items"] == []
    async with database.connection() as connection:
        kept = await connection.fetchval("SELECT string_agg(r::text, ' ') FROM request_records r")
    for secret in (PASSWORD, "a wrong password", ada.email, ada.token, "22334455667", "Ada Obi"):
        assert secret not in kept


async def test_the_trail_is_read_page_by_page(ada: Person, admin: Person) -> None:
    whole = (await admin.get("/v1/admin/audit-records", limit=50, created_after="2020-01-01T00:00:00Z")).json()["items"]
    read, cursor = [], None
    while True:
        page = (await admin.get("/v1/admin/audit-records", limit=5, **({"cursor": cursor} if cursor else {}))).json()
        read += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert read == whole
    refused = await admin.get("/v1/admin/request-records", cursor=page["items"][0]["kind"])
    assert refused.json()["code"] == "cursor_invalid"
