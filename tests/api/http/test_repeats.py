"""Every POST that changes something takes an `Idempotency-Key`: a repeat gets the first answer, and happens once."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import httpx
import pytest
from fastapi import APIRouter
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from api.app import create_app
from api.http.headers import idempotency_key, optional_idempotency_key
from api_services import compose_api
from database.connections import Database
from devenv.demo.postgres import holding
from ledger.ids import AccountId
from ledger.postgres.book import Book
from settings import Settings
from staff.permissions import Role
from tests.api.people import Person, reaches, register
from tests.connections import Connection
from tests.orders import promoted
from tests.waiting import until

WHY = {"reason": "ticket 4711"}

WAIT_FOR_A_KEY = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%INSERT INTO answers%'
"""


def answered(answer: httpx.Response) -> tuple[int, str | None]:
    return answer.status_code, answer.json().get("code")


def is_repeat(first: httpx.Response, again: httpx.Response) -> None:
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    assert again.headers.get("Idempotent-Replayed") == "true"
    assert again.headers.get("Location") == first.headers.get("Location")
    assert "Idempotent-Replayed" not in first.headers


@pytest.fixture
async def paid(ada: Person, ben: Person) -> str:
    return str((await ada.pay(ben, 10_000)).json()["id"])


async def test_an_account_is_opened_once_a_key_and_its_repeat_is_no_conflict(ada: Person) -> None:
    first = await ada.post("/v1/accounts", {"currency": "EUR"}, "k")
    assert first.status_code == 201
    is_repeat(first, await ada.post("/v1/accounts", {"currency": "EUR"}, "k"))
    assert answered(await ada.post("/v1/accounts", {"currency": "GBP"}, "k")) == (422, "idempotency_key_reused")
    assert answered(await ada.post("/v1/accounts", {"currency": "EUR"}, "other")) == (409, "account_exists")


async def test_equal_requests_at_once_happen_once_and_get_one_answer(ada: Person) -> None:
    answers = await asyncio.gather(*(ada.post("/v1/accounts", {"currency": "EUR"}, "k") for _ in range(10)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert [answer.headers.get("Idempotent-Replayed") for answer in answers].count(None) == 1
    assert len((await ada.get("/v1/accounts")).json()["items"]) == 2


async def test_different_requests_at_once_under_one_key_are_one_act(ada: Person) -> None:
    wanted = ("EUR", "GBP", "CHF")
    answers = await asyncio.gather(*(ada.post("/v1/accounts", {"currency": currency}, "k") for currency in wanted))
    assert sorted(answer.status_code for answer in answers) == [201, 422, 422]
    assert len((await ada.get("/v1/accounts")).json()["items"]) == 2


async def test_a_refused_request_leaves_its_key_free(ada: Person) -> None:
    assert answered(await ada.post("/v1/accounts", {"currency": "USD"}, "k")) == (409, "account_exists")
    assert (await ada.post("/v1/accounts", {"currency": "EUR"}, "k")).status_code == 201


async def test_a_key_names_a_movement_of_money_or_another_request_and_never_both(ada: Person, ben: Person) -> None:
    assert (await ada.pay(ben, 100, "money")).status_code == 201
    assert answered(await ada.post("/v1/accounts", {"currency": "EUR"}, "money")) == (422, "idempotency_key_reused")
    assert (await ada.post("/v1/accounts", {"currency": "EUR"}, "account")).status_code == 201
    assert answered(await ada.pay(ben, 100, "account")) == (422, "idempotency_key_reused")
    assert (await ben.post("/v1/accounts", {"currency": "EUR"}, "account")).status_code == 201
    assert await ben.balance() == 100


async def test_of_a_transfer_and_another_request_at_once_under_one_key_one_happens(ada: Person, ben: Person) -> None:
    paid = 0
    for currency in ("EUR", "GBP", "CHF"):

        async def both(key: str = currency) -> list[httpx.Response]:
            return list(await asyncio.gather(ada.pay(ben, 10, key), ada.post("/v1/accounts", {"currency": key}, key)))

        answers = await both()
        assert sorted(map(answered, answers), key=str) == [(201, None), (422, "idempotency_key_reused")]
        assert [answered(answer) for answer in await both()] == [answered(answer) for answer in answers]
        paid += answers[0].status_code == 201
    assert await ben.balance() == 10 * paid
    assert len((await ada.get("/v1/accounts")).json()["items"]) == 4 - paid


async def test_a_key_with_an_answer_names_no_transfer_of_a_repeated_transaction_id(ada: Person) -> None:
    path = f"/v1/accounts/{ada.account_id}/deposits"
    body = {"amount": 700, "currency": "USD", "transaction_id": "bank-1"}
    assert (await ada.post(path, body, "money")).status_code == 201
    account = await ada.post("/v1/accounts", {"currency": "EUR"}, "account")
    assert account.status_code == 201
    assert answered(await ada.post(path, body, "account")) == (422, "idempotency_key_reused")
    is_repeat(account, await ada.post("/v1/accounts", {"currency": "EUR"}, "account"))


async def test_spaces_and_the_order_of_fields_are_no_other_request(ada: Person, operator: Person) -> None:
    headers = {"Authorization": f"Bearer {operator.token}", "Idempotency-Key": "k", "Content-Type": "application/json"}
    path = f"/v1/admin/accounts/{ada.account_id}/freeze"
    first = await ada.http.post(path, content=b'{"reason":"r"}', headers=headers)
    is_repeat(first, await ada.http.post(path, content=b'{ "reason" : "r" }', headers=headers))


async def test_a_retry_whose_answer_was_lost_burns_no_attempt(ada: Person, ben: Person) -> None:
    failed = (await ada.pay(ben, 60_000)).json()
    path = f"/v1/transfers/{failed['id']}/retry"
    first = await ada.post(path, None, "again")
    assert (first.json()["state"], first.json()["attempt"]) == ("failed", 2)
    for _ in range(3):
        is_repeat(first, await ada.post(path, None, "again"))
    await ada.deposit(20_000)
    last = await ada.post(path, None, "and again")
    assert (last.json()["state"], last.json()["attempt"]) == ("completed", 3)
    assert (await ada.post(path, None, "again")).json()["attempt"] == 3
    other = f"/v1/transfers/{(await ada.pay(ben, 99_999)).json()['id']}/retry"
    assert answered(await ada.post(other, None, "again")) == (422, "idempotency_key_reused")


async def test_equal_retries_at_once_begin_one_attempt(ada: Person, ben: Person) -> None:
    failed = (await ada.pay(ben, 60_000)).json()
    path = f"/v1/transfers/{failed['id']}/retry"
    answers = await asyncio.gather(*(ada.post(path, None, "again") for _ in range(8)))
    assert {(answer.status_code, answer.json().get("attempt")) for answer in answers} == {(201, 2)}


async def test_a_cancellation_is_repeated_with_its_answer(ada: Person, ben: Person, book: Book) -> None:
    async with holding(book.database, AccountId(ada.account_id)):
        transfer = (await ada.pay(ben, 100, prefer="wait=0")).json()["id"]
        path = f"/v1/transfers/{transfer}/cancel"
        first = await ada.post(path, None, "k")
        assert first.json()["state"] == "cancelled"
        is_repeat(first, await ada.post(path, None, "k"))
    assert answered(await ada.post(f"/v1/transfers/{transfer}/retry", None, "k")) == (422, "idempotency_key_reused")


async def test_a_cancellation_whose_key_another_request_takes_at_that_moment_changes_nothing(
    ada: Person, ben: Person, book: Book, owner: Connection
) -> None:
    async with holding(book.database, AccountId(ada.account_id)):
        transfer = (await ada.pay(ben, 100, prefer="wait=0")).json()["id"]
        other = owner.transaction()
        await other.start()
        await owner.execute("INSERT INTO keys (owner_id, idempotency_key) VALUES ($1, 'k')", ada.id)
        await owner.execute(
            "INSERT INTO answers (owner_id, idempotency_key, request, status, body)"
            " VALUES ($1, 'k', repeat('0', 64), 200, '{}')",
            ada.id,
        )
        cancelling = asyncio.create_task(ada.post(f"/v1/transfers/{transfer}/cancel", None, "k"))

        async def waits() -> bool:
            await owner.execute("SELECT pg_stat_clear_snapshot()")  # else it is that of the transaction's first look
            return bool(await owner.fetchval(WAIT_FOR_A_KEY))

        await until(waits, "the cancellation waits for its key")
        await other.commit()
        assert answered(await cancelling) == (422, "idempotency_key_reused")
        assert (await ada.get(f"/v1/transfers/{transfer}")).json()["state"] == "initiated"
    await reaches(ada, transfer, "completed")


async def test_a_dispute_and_each_statement_are_made_once_a_key(ada: Person, ben: Person, paid: str) -> None:
    path = f"/v1/transfers/{paid}/disputes"
    first = await ada.post(path, {"reason": "Nothing came"}, "dispute")
    assert first.status_code == 201
    is_repeat(first, await ada.post(path, {"reason": "Nothing came"}, "dispute"))
    assert answered(await ada.post(path, {"reason": "Nothing came"}, "other")) == (409, "dispute_open")
    said = f"/v1/disputes/{first.json()['id']}/statements"
    stated = await ben.post(said, {"text": "It did"}, "said")
    is_repeat(stated, await ben.post(said, {"text": "It did"}, "said"))
    assert len((await ada.get(f"/v1/disputes/{first.json()['id']}")).json()["statements"]) == 1


async def test_a_decided_dispute_answers_its_decision_again(
    ada: Person, ben: Person, operator: Person, paid: str
) -> None:
    dispute = (await ada.post(f"/v1/transfers/{paid}/disputes", {"reason": "Nothing came"})).json()["id"]
    path = f"/v1/admin/disputes/{dispute}/decisions"
    body = {"ruling": "reject", "reason": "It did"}
    first = await operator.post(path, body, "k")
    is_repeat(first, await operator.post(path, body, "k"))


async def freeze_and_thaw(ada: Person, admin: Person) -> None:
    """Somebody else undoes what is then asked for again."""
    path = f"/v1/admin/accounts/{ada.account_id}"
    first = await admin.post(f"{path}/freeze", WHY, "k")
    assert first.json()["status"] == "frozen"
    await admin.post(f"{path}/unfreeze", WHY)
    is_repeat(first, await admin.post(f"{path}/freeze", WHY, "k"))
    assert (await admin.get(path)).json()["status"] == "active"


async def tier(ada: Person, admin: Person) -> None:
    path = f"/v1/admin/accounts/{ada.account_id}/tier"
    is_repeat(await admin.post(path, WHY | {"tier": 2}, "k"), await admin.post(path, WHY | {"tier": 2}, "k"))
    assert answered(await admin.post(path, WHY | {"tier": 3}, "k")) == (422, "idempotency_key_reused")


async def rebuild(ada: Person, admin: Person) -> None:
    path = f"/v1/admin/accounts/{ada.account_id}/rebuild"
    is_repeat(await admin.post(path, WHY, "k"), await admin.post(path, WHY, "k"))


async def rebuild_later(ada: Person, admin: Person) -> None:
    body = WHY | {"account_id": ada.account_id}
    first = await admin.post("/v1/admin/rebuilds", body, "k")
    assert first.status_code == 202
    is_repeat(first, await admin.post("/v1/admin/rebuilds", body, "k"))


async def close(ada: Person, admin: Person) -> None:
    account = (await ada.post("/v1/accounts", {"currency": "EUR"})).json()["id"]
    path = f"/v1/admin/accounts/{account}/close"
    is_repeat(await admin.post(path, WHY, "k"), await admin.post(path, WHY, "k"))


@pytest.mark.parametrize("act", [freeze_and_thaw, tier, rebuild, rebuild_later, close])
async def test_an_action_on_an_account_happens_once_a_key_and_is_recorded_once(
    ada: Person, admin: Person, act: Callable[[Person, Person], Awaitable[None]], database: Database
) -> None:
    await act(ada, admin)
    kept = "SELECT request, count(*) FROM answers GROUP BY request HAVING count(*) > 1"
    async with database.connection() as connection:
        assert await connection.fetch(kept) == []
        made = await connection.fetchval(
            "SELECT count(*) FROM staff_actions WHERE actor_id = $1 AND action <> 'unfreeze_account'", admin.id
        )
    assert made == 1


async def test_a_role_is_taken_once_a_key(http: httpx.AsyncClient, admin: Person, database: Database) -> None:
    person = await register(http)
    await promoted(database, person.id, Role.OPERATOR)
    path = f"/v1/admin/customers/{person.id}/role"
    body = WHY | {"role": "customer"}
    first = await admin.post(path, body, "k")
    assert first.json()["role"] == "customer"
    await promoted(database, person.id, Role.OPERATOR)
    is_repeat(first, await admin.post(path, body, "k"))
    assert (await admin.get(f"/v1/admin/customers/{person.id}")).json()["role"] == "operator"


async def test_a_held_amount_is_held_once_a_key(ada: Person, ben: Person, operator: Person, paid: str) -> None:
    dispute = (await ada.post(f"/v1/transfers/{paid}/disputes", {"reason": "Nothing came"})).json()["id"]
    path = f"/v1/admin/disputes/{dispute}"
    first = await operator.post(f"{path}/hold", WHY, "k")
    assert first.json()["held_amount"] == 10_000
    released = await operator.post(f"{path}/release", WHY, "free")
    is_repeat(first, await operator.post(f"{path}/hold", WHY, "k"))
    is_repeat(released, await operator.post(f"{path}/release", WHY, "free"))
    assert (await operator.get(f"/v1/disputes/{dispute}")).json()["held_amount"] == 0


# A POST that takes no key, and why its repeat harms nobody.
WITHOUT_KEY = {
    "/graphql": "It reads, and what it marks as read stays read.",
    "/v1/admin/codec/decode": "It reads: what it was sent, in clear.",
    "/v1/admin/codec/encode": "It keeps nothing of what it was sent.",
    "/v1/admin/customers/search": "It reads: an address belongs in no URL.",
    "/v1/admin/customers/{customer_id}/email-verification": "A code is as good as the first one, and never kept.",
    "/v1/auth/api-keys": "A secret is never kept: a key whose secret was lost is listed, and can be ended.",
    "/v1/auth/browser/login": "As `/v1/auth/login`.",
    "/v1/auth/browser/logout": "A session that has ended stays ended.",
    "/v1/auth/browser/refresh": "As `/v1/auth/refresh`.",
    "/v1/auth/email-verification": "An address that is verified stays verified.",
    "/v1/auth/email-verification/mail": "A mail is as good as the first one, and at most one is sent a minute.",
    "/v1/auth/login": "A token is as good as the first one, and never kept.",
    "/v1/auth/logout": "A token that is revoked stays revoked.",
    "/v1/auth/password": "The former password is wrong by then, so a repeat changes nothing.",
    "/v1/auth/password-reset": "It sends one mail a minute, however often it is asked.",
    "/v1/auth/password-reset/confirm": "A code works once.",
    "/v1/auth/refresh": "A refresh token gets the same next one for a short time.",
    "/v1/auth/second-factor": "Until it is confirmed, the last secret counts, and none is kept in an answer.",
    "/v1/auth/second-factor/confirm": "It is confirmed once.",
    "/v1/auth/second-factor/recovery-codes": "A code is used up, so a repeat needs another one.",
    "/v1/auth/second-factor/remove": "What is removed stays removed.",
}


def test_every_post_that_changes_something_takes_a_key(settings: Settings, database: Database) -> None:
    app = create_app(compose_api(settings, database, with_worker=False).services, docs=True)
    # Whatever can answer counts: also what has no methods, as an app that is mounted.
    posts = [route for route in _routes(app.router) if "POST" in getattr(route, "methods", {"POST"})]
    assert len(posts) > 30
    keys: set[object] = {idempotency_key, optional_idempotency_key}
    without = {
        route.path for route in posts if not (isinstance(route, APIRoute) and keys & set(_calls(route.dependant)))
    }
    assert without == WITHOUT_KEY.keys()


def _routes(router: APIRouter) -> Iterator[Any]:
    for route in router.routes:
        included = getattr(route, "original_router", None)
        if included is None:
            yield route
        else:
            yield from _routes(included)


def _calls(dependant: Dependant) -> Iterator[object]:
    for needed in dependant.dependencies:
        yield needed.call
        yield from _calls(needed)
