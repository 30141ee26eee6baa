"""A registration whose answer was lost is repeated under its key, and makes nobody twice."""

import asyncio
import hashlib
import json
import secrets
from collections.abc import Mapping

import httpx
import pytest

from customers.documents.document import last_characters
from tests.api.people import PASSWORD, Person, registration
from tests.connections import Connection


async def sent(http: httpx.AsyncClient, body: Mapping[str, object], key: str | None = None) -> httpx.Response:
    return await http.post("/v1/auth/register", json=body, headers={"Idempotency-Key": key} if key else {})


def answered(answer: httpx.Response) -> tuple[int, str | None]:
    return answer.status_code, answer.json().get("code")


def signed_in(http: httpx.AsyncClient, answer: httpx.Response) -> Person:
    made = answer.json()
    return Person(http, made["customer"]["id"], made["account"]["id"], made["access_token"], made["customer"]["email"])


async def test_a_repeated_registration_gets_the_same_customer_and_account_and_a_new_token(
    http: httpx.AsyncClient,
) -> None:
    body = registration(email=f"Ada.{secrets.token_hex(4)}@Example.com")
    first = await sent(http, body, "lost")
    assert first.status_code == 201
    assert "Idempotent-Replayed" not in first.headers
    for email in (str(body["email"]), str(body["email"]).upper()):
        again = await sent(http, body | {"email": email}, "lost")
        assert (again.status_code, again.headers["Idempotent-Replayed"]) == (201, "true")
        assert again.json()["customer"] == first.json()["customer"]
        assert again.json()["account"] == first.json()["account"]
        assert again.json()["access_token"] != first.json()["access_token"]
        assert (await signed_in(http, again).get("/v1/auth/me")).json() == first.json()["customer"]
    assert len((await signed_in(http, first).get("/v1/accounts")).json()["items"]) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"password": "another horse battery"},
        {"full_name": "Ada Obi-Cole"},
        {"currency": "EUR"},
        {"identity_document": {"type": "BVN", "number": "22334455667"}},
    ],
    ids=["password", "name", "currency", "document"],
)
async def test_a_registrations_key_is_refused_for_another_registration(
    http: httpx.AsyncClient, changes: dict[str, object]
) -> None:
    body = registration()
    assert (await sent(http, body, "k")).status_code == 201
    assert answered(await sent(http, body | changes, "k")) == (422, "idempotency_key_reused")
    assert (await sent(http, body, "k")).headers["Idempotent-Replayed"] == "true"


async def test_a_repeat_without_its_key_or_under_another_is_a_conflict(http: httpx.AsyncClient) -> None:
    body = registration()
    assert (await sent(http, body, "k")).status_code == 201
    assert answered(await sent(http, body, "other")) == (409, "email_taken")
    assert answered(await sent(http, body)) == (409, "email_taken")
    unkeyed = registration()
    assert (await sent(http, unkeyed)).status_code == 201
    assert answered(await sent(http, unkeyed, "k")) == (409, "email_taken")


async def test_one_key_registers_people_with_different_addresses(http: httpx.AsyncClient) -> None:
    answers = [await sent(http, registration(), "1") for _ in range(2)]
    assert len({answer.json()["customer"]["id"] for answer in answers}) == 2


async def test_a_registrations_key_is_free_for_the_customers_own_requests(http: httpx.AsyncClient) -> None:
    body = registration()
    ada = signed_in(http, await sent(http, body, "k"))
    deposit = {"amount": 700, "currency": "USD"}
    paid = await ada.post(f"/v1/accounts/{ada.account_id}/deposits", deposit, "k")
    assert paid.status_code == 201
    again = await sent(http, body, "k")
    assert (again.status_code, again.json()["account"]["balance"]) == (201, 700)


async def test_a_refused_registration_leaves_its_key_free(http: httpx.AsyncClient) -> None:
    body = registration()
    assert answered(await sent(http, body | {"currency": "XXX"}, "k")) == (422, "validation_failed")
    assert (await sent(http, body, "k")).status_code == 201


async def test_equal_registrations_at_once_make_one_customer_and_get_one_answer(
    http: httpx.AsyncClient, owner: Connection
) -> None:
    body = registration()
    answers = await asyncio.gather(*(sent(http, body, "k") for _ in range(6)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({(answer.json()["customer"]["id"], answer.json()["account"]["id"]) for answer in answers}) == 1
    assert [answer.headers.get("Idempotent-Replayed") for answer in answers].count(None) == 1
    made = answers[0].json()["customer"]["id"]
    assert await owner.fetchval("SELECT count(*) FROM accounts WHERE owner_id = $1", made) == 1


async def test_nobody_tries_out_passwords_by_repeating_a_registration(http: httpx.AsyncClient) -> None:
    body = registration()
    assert (await sent(http, body, "k")).status_code == 201
    wrong = [await sent(http, body | {"password": f"wrong horse battery {n}"}, "k") for n in range(12)]
    assert answered(wrong[0]) == (422, "idempotency_key_reused")
    assert answered(wrong[-1]) == (429, "too_many_attempts")
    login = await http.post("/v1/auth/login", json={"email": body["email"], "password": PASSWORD})
    assert answered(login) == (429, "too_many_attempts"), "both count together"


async def test_a_kept_registration_holds_no_password_no_token_and_no_number_of_a_document(
    http: httpx.AsyncClient, owner: Connection
) -> None:
    body = registration()
    made = (await sent(http, body, "k")).json()
    kept = await owner.fetchrow("SELECT * FROM registrations WHERE customer_id = $1", made["customer"]["id"])
    assert kept is not None
    assert PASSWORD not in str(kept)
    assert made["access_token"] not in str(kept)
    without_password = {name: value for name, value in body.items() if name != "password"}
    document = {"type": "NIN", "number": last_characters("22334455667")}
    said = json.dumps(without_password | {"identity_document": document}, sort_keys=True, separators=(",", ":"))
    assert kept["request"] == hashlib.sha256(said.encode()).hexdigest()
