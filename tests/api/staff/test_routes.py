"""The admin routes: who is let in, what they show, and that each change is recorded and each refusal is not."""

import asyncio
import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from api_services import compose_api
from database.connections import Database
from devenv.demo.postgres import holding
from devenv.processes.ports import free_port
from ledger.ids import AccountId, CustomerId
from ledger.postgres.book import Book
from ledger.transfers import Step
from settings import Settings
from tests.api.people import Person, answered, client_of
from tests.orders import order
from tests.waiting import until

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "openapi.json"

REASON = {"reason": "Asked for by the bank, ticket 4711"}

LOOKING = [
    "customers",
    "customers/{customer}",
    "accounts/{account}",
    "accounts/{account}/entries",
    "transfers",
    "transfers/{transfer}",
    "actions",
    "books",
    "stats",
]
# Each with what it takes beside a reason, and whether operators may.
ACTING: dict[str, tuple[dict[str, Any], bool]] = {
    "accounts/{account}/freeze": ({}, True),
    "accounts/{account}/unfreeze": ({}, True),
    "accounts/{account}/tier": ({"tier": 2}, False),
    "accounts/{account}/rebuild": ({}, False),
    "accounts/{account}/close": ({}, False),
    "customers/{customer}/role": ({"role": "customer"}, False),
    "audit": ({}, False),
}


@pytest.fixture
def path(ada: Person, ben: Person) -> Callable[[str, str], str]:
    """A route's path, about ben."""

    def filled(route: str, transfer_id: str = "trf_none") -> str:
        return "/v1/admin/" + route.format(customer=ben.id, account=ben.account_id, transfer=transfer_id)

    return filled


async def actions(staff: Person, **query: object) -> list[dict[str, Any]]:
    """The record, oldest first."""
    answer = await staff.get("/v1/admin/actions", limit=50, **query)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"][::-1])


async def test_each_route_lets_in_whose_role_includes_it(
    ada: Person, ben: Person, operator: Person, admin: Person, http: httpx.AsyncClient, path: Callable[..., str]
) -> None:
    transfer_id = (await ada.pay(ben, 99_999)).json()["id"]
    nobody = Person(http, "", "", "no token", "")
    for route in LOOKING:
        answers = [await who.get(path(route, transfer_id)) for who in (nobody, ada, ben, operator, admin)]
        assert [answer.status_code for answer in answers] == [401, 403, 403, 200, 200], route
        assert [answer.json()["code"] for answer in answers[1:3]] == ["forbidden"] * 2
    for route, (body, operators_may) in ACTING.items():
        for who, status in ((nobody, 401), (ada, 403), (ben, 403), (operator, 200 if operators_may else 403)):
            answer = await who.post(path(route), body | REASON)
            assert answer.status_code == status, (route, answer.text)
    done = [action["actor_id"] for action in await actions(admin, subject=ben.account_id)]
    assert done == [operator.id] * 2
    for route, (body, _) in ACTING.items():
        answer = await admin.post(path(route), body | REASON)
        assert answer.status_code == 200, (route, answer.text)


async def test_to_customers_the_admin_routes_tell_nothing_of_what_exists(ada: Person, path: Callable[..., str]) -> None:
    there, nowhere = await ada.get(path("accounts/{account}")), await ada.get("/v1/admin/accounts/acc_none")
    assert (there.status_code, answered(there)) == (403, answered(nowhere))
    bad = await ada.post(path("accounts/{account}/tier"), {"tier": "many"})
    assert answered(bad) == answered(there)


async def test_a_role_that_is_taken_ends_at_once(operator: Person, admin: Person) -> None:
    assert (await operator.get("/v1/admin/stats")).status_code == 200
    path = f"/v1/admin/customers/{operator.id}/role"
    answer = await admin.post(path, {"role": "customer", "reason": "Leaves the team"})
    assert (answer.status_code, answer.json()["role"]) == (200, "customer")
    assert (await operator.get("/v1/admin/stats")).status_code == 403
    (recorded,) = await actions(admin, subject=operator.id)
    assert (recorded["action"], recorded["before"], recorded["after"]) == (
        "grant_role",
        {"role": "operator"},
        {"role": "customer"},
    )


async def test_every_change_is_recorded_and_every_refusal_is_not(
    ada: Person, ben: Person, admin: Person, path: Callable[..., str]
) -> None:
    frozen = await admin.post(path("accounts/{account}/freeze"), REASON)
    assert (frozen.json()["id"], frozen.json()["status"]) == (ben.account_id, "frozen")
    twice = await admin.post(path("accounts/{account}/freeze"), REASON)
    assert (twice.status_code, twice.json()["code"]) == (409, "account_already_frozen")
    refused = (await ada.pay(ben, 100)).json()
    assert (refused["state"], refused["failure"]["code"]) == ("failed", "account_frozen")
    assert (await admin.post(path("accounts/{account}/unfreeze"), REASON)).json()["status"] == "active"
    open_ = await admin.post(path("accounts/{account}/unfreeze"), REASON)
    assert (open_.status_code, open_.json()["code"]) == (409, "account_not_frozen")
    debits = await admin.post(path("accounts/{account}/freeze"), {"frozen": "debits"} | REASON)
    assert (debits.json()["status"], debits.json()["frozen"]) == ("frozen", "debits")
    assert (await ada.pay(ben, 100)).json()["state"] == "completed"
    assert (await ben.pay(ada, 100)).json()["failure"]["code"] == "account_frozen"
    await admin.post(path("accounts/{account}/unfreeze"), REASON)
    full = await admin.post(path("accounts/{account}/close"), REASON)
    assert (full.status_code, full.json()["code"]) == (409, "account_not_empty")
    assert "$1.00" in full.json()["detail"]
    assert (await ben.pay(ada, 100)).json()["state"] == "completed"
    assert (await admin.post(path("accounts/{account}/close"), REASON)).json()["status"] == "closed"
    again = await admin.post(path("accounts/{account}/unfreeze"), REASON)
    assert (again.status_code, again.json()["code"]) == (409, "account_closed")
    recorded = await actions(admin, subject=ben.account_id)
    assert [one["after"]["frozen"] for one in recorded] == ["both", None, "debits", None, None]
    assert [one["after"]["status"] for one in recorded] == ["frozen", "active", "frozen", "active", "closed"]
    assert {(one["actor_id"], one["actor_role"], one["reason"]) for one in recorded} == {
        (admin.id, "admin", REASON["reason"])
    }


async def test_an_action_without_a_reason_is_not_done(ben: Person, admin: Person, path: Callable[..., str]) -> None:
    for body in ({}, {"reason": ""}, {"reason": "  "}, {"reason": None}, {"reason": "x", "why": "y"}, {"reason": "\0"}):
        answer = await admin.post(path("accounts/{account}/freeze"), body)
        assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed"), body
    assert await actions(admin, subject=ben.account_id) == []


async def test_staff_do_not_act_on_themselves(operator: Person, admin: Person) -> None:
    own = await operator.post(f"/v1/admin/accounts/{operator.account_id}/unfreeze", REASON)
    assert (own.status_code, own.json()["code"]) == (403, "conflict_of_interest")
    role = await admin.post(f"/v1/admin/customers/{admin.id}/role", {"role": "customer"} | REASON)
    assert (role.status_code, role.json()["code"]) == (403, "conflict_of_interest")


async def test_an_unknown_account_or_customer_is_not_found(admin: Person) -> None:
    for what, code in (("accounts", "account"), ("customers", "customer"), ("transfers", "transfer")):
        for id_ in ("xyz_none", "a" * 5000, "%F0%9F%92%B8"):
            answer = await admin.get(f"/v1/admin/{what}/{id_}")
            assert (answer.status_code, answer.json()["code"]) == (404, f"{code}_not_found"), id_
    answer = await admin.post("/v1/admin/accounts/acc_none/freeze", REASON)
    assert (answer.status_code, answer.json()["code"]) == (404, "account_not_found")


async def test_freezing_waits_for_the_step_that_holds_the_account(
    ada: Person, ben: Person, admin: Person, book: Book, path: Callable[..., str]
) -> None:
    async with holding(book.database, AccountId(ben.account_id)):
        accepted = await ada.pay(ben, 100, prefer="wait=0")
        transfer = accepted.headers["Location"]

        async def is_debited() -> bool:
            return bool((await ada.get(transfer)).json()["state"] == "debited")

        await until(is_debited, "the transfer is debited")
        freezing = asyncio.create_task(admin.post(path("accounts/{account}/freeze"), REASON))
        assert (await admin.get(path("accounts/{account}"))).json()["status"] == "active"
        assert not freezing.done()
    assert (await freezing).json()["status"] == "frozen"

    async def is_final() -> bool:
        return (await ada.get(transfer)).json()["completed_at"] is not None

    await until(is_final, "the transfer is final")
    state = (await ada.get(transfer)).json()["state"]
    assert (state, await ben.balance()) in [("completed", 100), ("compensated", 0)]


async def test_staff_see_all_of_a_transfer(
    ada: Person, ben: Person, operator: Person, settings: Settings, database: Database
) -> None:
    paid = (await ada.pay(ben, 12_550, note="Rent", key="pay rent? #1 50%")).json()
    path = f"/v1/admin/transfers/{paid['id']}"

    async def is_notified() -> bool:
        return len((await operator.get(path)).json()["messages"]) == 2

    await until(is_notified, "the parties are told")
    found = (await operator.get(path)).json()
    assert found == found | paid
    assert (found["owner_id"], found["idempotency_key"], found["temporal_url"]) == (ada.id, "pay rent? #1 50%", None)
    assert [(one["leg"], one["debit_account_id"], one["credit_account_id"]) for one in found["postings"]] == [
        ("debit", ada.account_id, "clearing"),
        ("credit", "clearing", ben.account_id),
    ]
    assert [(one["account_id"], one["amount"], one["balance_after"]) for one in found["entries"]] == [
        (ada.account_id, -12_550, 37_450),
        (ben.account_id, 12_550, 12_550),
    ]
    assert {one["customer_id"] for one in found["messages"]} == {ada.id, ben.id}
    assert found["actions"] == []
    linked = settings.model_copy(update={"temporal_ui_url": "https://temporal.example/"})
    async with client_of(linked, compose_api(linked, database, with_worker=False)) as http:
        assert linked.jwt_secret == settings.jwt_secret
        operator.http = http
        assert (await operator.get(path)).json()["temporal_url"] == (
            f"https://temporal.example/namespaces/default/workflows/transfer%2F{ada.id}%2Fpay%20rent%3F%20%25231%2050%2525"
        )


async def test_transfers_are_found_by_what_they_are(ada: Person, ben: Person, operator: Person, book: Book) -> None:
    began = datetime.now(UTC)
    small, large = (await ada.pay(ben, 100)).json()["id"], (await ada.pay(ben, 2_000)).json()["id"]
    back, failed = (await ben.pay(ada, 50)).json()["id"], (await ada.pay(ben, 99_999)).json()["id"]
    stuck = order(CustomerId(ada.id), AccountId(ada.account_id), AccountId(ben.account_id), 700)
    await book.open_transfer(stuck)
    await book.debit(Step(stuck.transfer_id, 1))
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    cases: list[tuple[dict[str, object], list[str]]] = [
        ({"created_after": began.isoformat()}, [small, large, back, failed, stuck.transfer_id]),
        ({"kind": "transfer", "created_before": later}, [small, large, back, failed, stuck.transfer_id]),
        ({"created_before": began.isoformat(), "kind": "transfer"}, []),
        ({"created_after": later}, []),
        ({"state": "failed"}, [failed]),
        ({"owner_id": ben.id}, [back]),
        ({"account_id": ben.account_id, "max_amount": 100}, [small, back]),
        ({"account_id": ben.account_id, "min_amount": 2_000, "state": "completed"}, [large]),
        ({"currency": "EUR"}, []),
        ({"older_than_seconds": 0}, [stuck.transfer_id]),
        ({"older_than_seconds": 3600}, []),
        ({"account_id": "acc_none"}, []),
    ]
    for query, expected in cases:
        answer = await operator.get("/v1/admin/transfers", **query)
        assert [item["id"] for item in answer.json()["items"]][::-1] == expected, query
    seen, page = [], (await operator.get("/v1/admin/transfers", limit=2)).json()
    while page["next_cursor"]:
        seen += page["items"]
        page = (await operator.get("/v1/admin/transfers", limit=2, cursor=page["next_cursor"])).json()
    assert len({item["id"] for item in seen + page["items"]}) == 6
    bad: list[dict[str, object]] = [{"state": "lost"}, {"limit": 51}, {"created_after": "2026-01-01"}, {"stat": "x"}]
    for query in bad:
        assert (await operator.get("/v1/admin/transfers", **query)).status_code == 422, query
    assert (await operator.get("/v1/admin/transfers", cursor="x")).json()["code"] == "cursor_invalid"
    await book.credit(Step(stuck.transfer_id, 1))


async def test_customers_are_found_by_address_and_shown_without_secrets(
    ada: Person, ben: Person, operator: Person
) -> None:
    search = "/v1/admin/customers/search"
    found = (await operator.post(search, {"email": ada.email[:10].upper()})).json()
    assert [item["id"] for item in found["items"]] == [ada.id]
    first = (await operator.get("/v1/admin/customers", limit=2)).json()
    rest = (await operator.post(search, {"email": "", "cursor": first["next_cursor"]})).json()
    assert rest["next_cursor"] is None
    last = first["items"][-1]["email"]
    assert last.encode() not in base64.urlsafe_b64decode(first["next_cursor"] + "==")
    assert (await operator.get("/v1/admin/customers", cursor="YQ")).json()["code"] == "cursor_invalid"
    assert len({item["id"] for item in first["items"] + rest["items"]}) == 3
    (listed,) = [item for item in first["items"] + rest["items"] if item["id"] == ada.id]
    assert listed["accounts"] == [
        {"id": ada.account_id, "currency": "USD", "status": "active", "frozen": None, "tier": 1, "balance": 50_000}
    ]
    await operator.post(f"/v1/admin/accounts/{ben.account_id}/freeze", REASON)
    await operator.post(f"/v1/admin/customers/{ben.id}/disable", REASON)
    for query, ids in (
        ({"account_status": "frozen"}, {ben.id}),
        ({"account_status": "active"}, {ada.id, operator.id}),
        ({"role": "operator"}, {operator.id}),
        ({"disabled": "true"}, {ben.id}),
        ({"disabled": "false", "role": "customer"}, {ada.id}),
        ({"verification": "verified", "account_status": "closed"}, set()),
        ({"verification": "pending"}, set()),
    ):
        answer = await operator.get("/v1/admin/customers", **query)
        assert {item["id"] for item in answer.json()["items"]} == ids, query
    assert (await operator.post(search, {"email": "", "account_status": "frozen"})).json()["items"][0]["id"] == ben.id
    assert (await operator.get("/v1/admin/customers", status="frozen")).status_code == 422
    shown = await operator.get(f"/v1/admin/customers/{ada.id}")
    assert [account["id"] for account in shown.json()["accounts"]] == [ada.account_id]
    assert "password" not in shown.text
    assert "22334455667" not in shown.text
    entries = (await operator.get(f"/v1/admin/accounts/{ada.account_id}/entries")).json()
    assert entries == (await ada.get(f"/v1/accounts/{ada.account_id}/entries")).json()


async def test_books_audit_stats_and_metrics_tell_what_is_in_transit(
    ada: Person, ben: Person, admin: Person, book: Book, http: httpx.AsyncClient
) -> None:
    await ada.pay(ben, 99_999)
    stuck = order(CustomerId(ada.id), AccountId(ada.account_id), AccountId(ben.account_id), 700)
    await book.open_transfer(stuck)
    await book.debit(Step(stuck.transfer_id, 1))
    (usd,) = (await admin.get("/v1/admin/books")).json()["items"]
    assert usd == {
        "currency": "USD",
        "accounts": 3,
        "entries": 2,
        "customers": 49_300,
        "in_transit": 700,
        "world": -50_000,
    }
    stats = (await admin.get("/v1/admin/stats")).json()
    assert stats["last_hour"] == stats["last_day"]
    assert {state: count for state, count in stats["last_day"].items() if count} == {
        "completed": 1,
        "failed": 1,
        "debited": 1,
    }
    assert [(one["state"], one["transfers"]) for one in stats["waiting"]] == [
        ("initiated", 0),
        ("in_review", 0),
        ("debited", 1),
    ]
    assert stats["oldest_not_final"]["id"] == stuck.transfer_id
    (in_transit,) = stats["in_transit"]
    assert 0 <= in_transit.pop("oldest_seconds") < 60
    assert in_transit == {"currency": "USD", "transfers": 1, "amount": 700}
    assert stats["period"] is None
    since = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    period = (await admin.get("/v1/admin/stats", **{"from": since})).json()["period"]
    assert datetime.fromisoformat(period["from"]) == datetime.fromisoformat(since)
    assert (period["transfers"], period["by_state"], period["customers"]) == (3, stats["last_hour"], 3)
    assert period["volume"] == [{"currency": "USD", "transfers": 1, "amount": 50_000}]
    assert period["failures"] == {"insufficient_funds": 1}
    assert 0 < period["latency_ms"]["p50"] <= period["latency_ms"]["p95"] <= period["latency_ms"]["p99"]
    for query in ({"to": since}, {"from": since, "to": since}, {"from": "2026-01-01T00:00:00Z"}):
        assert (await admin.get("/v1/admin/stats", **query)).json()["code"] == "validation_failed"
    scraped = (await http.get("/metrics")).text
    assert 'remit_transfers_not_final{state="debited"} 1.0' in scraped
    assert 'remit_transfers_not_final_longest_seconds{state="initiated"} 0.0' in scraped
    found = (await admin.post("/v1/admin/audit", REASON)).json()
    assert (found["clean"], found["broken"], found["findings"], found["books"]) == (True, [], 0, [usd])
    (recorded,) = await actions(admin, subject="books")
    assert (recorded["action"], recorded["after"]) == ("run_audit", {"clean": True, "findings": 0, "full": False})
    await book.credit(Step(stuck.transfer_id, 1))


async def test_metrics_are_served_without_the_ledgers_gauges_while_postgresql_is_away(settings: Settings) -> None:
    url = f"postgresql://nobody@127.0.0.1:{free_port()}/nothing"
    async with (
        Database(url, connections=1) as database,
        client_of(settings, compose_api(settings, database, with_worker=False)) as http,
    ):
        scraped = await http.get("/metrics")
    assert scraped.status_code == 200
    assert "remit_http_requests_total" in scraped.text
    assert 'remit_transfers_not_final{state="' not in scraped.text


async def test_pages_of_actions_hold_everything_once(ben: Person, admin: Person, path: Callable[..., str]) -> None:
    for tier in range(1, 8):
        await admin.post(path("accounts/{account}/tier"), {"tier": tier} | REASON)
    seen: list[int] = []
    query: dict[str, object] = {"limit": 3, "actor": admin.id, "subject": ben.account_id}
    while True:
        page = (await admin.get("/v1/admin/actions", **query)).json()
        seen += [one["after"]["tier"] for one in page["items"]]
        if not page["next_cursor"]:
            break
        query["cursor"] = page["next_cursor"]
    assert seen == [7, 6, 5, 4, 3, 2, 1]
    for refused in (0, 10, 2.5, "2", True):
        answer = await admin.post(path("accounts/{account}/tier"), {"tier": refused} | REASON)
        assert answer.status_code == 422, refused


def test_every_admin_operation_documents_its_problems_with_examples() -> None:
    paths = json.loads(DOCUMENT.read_text())["paths"]
    documented = [(path, method, one) for path, methods in paths.items() for method, one in methods.items()]
    ours = [found for found in documented if found[0].startswith("/v1/admin")]
    assert len(ours) >= len(LOOKING) + len(ACTING)
    for path, method, operation in ours:
        assert operation["summary"], path
        assert operation["description"], path
        needed = {"401", "403", "503"} | ({"400", "413", "422"} if method == "post" else set())
        assert needed <= operation["responses"].keys(), (path, method)
        for status in needed:
            assert operation["responses"][status]["content"]["application/problem+json"]["examples"], (path, status)
