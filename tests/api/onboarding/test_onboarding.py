"""Registration answers at once and shows the verification; until it is done, money comes in, and none is sent."""

import asyncio
import hashlib
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from api.temporal import TemporalGateway
from api_services import compose_api
from customers.documents.sandbox import DOWN_NUMBER, MISMATCH_NUMBER, REJECTED_NUMBER, REVIEW_NUMBER, SLOW_NUMBER
from database.connections import Database
from settings import Settings
from tests.api.people import Person, answered, client_of, register, registration
from tests.connections import Connection
from tests.waiting import until

WHY = {"reason": "The passport was shown at the branch"}
SHOWN = {"code": None, "reason": None, "document_type": "NIN", "number_ends_with": "667"}


async def with_number(http: httpx.AsyncClient, number: str) -> Person:
    return await register(http, identity_document={"type": "NIN", "number": number})


async def verification(person: Person) -> dict[str, Any]:
    return dict((await person.get("/v1/auth/me")).json()["verification"])


async def becomes(person: Person, state: str) -> None:
    async def is_so() -> bool:
        return bool((await verification(person))["state"] == state)

    await until(is_so, f"the customer is {state}")


async def withdrawn(person: Person) -> dict[str, Any]:
    answer = await person.post(f"/v1/accounts/{person.account_id}/withdrawals", {"amount": 100, "currency": "USD"})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def test_an_ordinary_customer_is_verified_by_the_answer_and_pays_right_away(http: httpx.AsyncClient) -> None:
    answer = (await http.post("/v1/auth/register", json=registration())).json()
    assert answer["customer"]["verification"] == {"state": "verified"} | SHOWN
    assert {"customer", "account", "access_token", "token_type", "expires_in"} <= answer.keys()
    people = await asyncio.gather(*(register(http) for _ in range(5)))

    async def pays(person: Person) -> str:
        await person.deposit(500)
        return str((await withdrawn(person))["state"])

    assert await asyncio.gather(*map(pays, people)) == ["completed"] * 5


async def test_no_answer_and_no_list_shows_a_number(http: httpx.AsyncClient, admin: Person) -> None:
    ada = await with_number(http, "33445566778")
    paths = ("/v1/auth/me", "/v1/customers/me/documents")
    texts = [(await ada.get(path)).text for path in paths]
    texts += [(await admin.get(path)).text for path in ("/v1/admin/documents", f"/v1/admin/customers/{ada.id}")]
    refused = await http.post(
        "/v1/auth/register", json=registration(identity_document={"type": "NIN", "number": "?33445566778"})
    )
    assert refused.status_code == 422
    for text in (*texts, refused.text):
        assert "33445566778" not in text
    assert all("778" in text for text in texts)


async def test_money_of_a_rejected_customer_stays_until_another_document_is_verified(http: httpx.AsyncClient) -> None:
    ada = await with_number(http, REJECTED_NUMBER)
    shown = await verification(ada)
    assert (shown["state"], shown["code"]) == ("rejected", "number_unknown")
    assert shown["reason"].startswith("The issuer knows no document")
    await ada.deposit(500)
    refused = await withdrawn(ada)
    assert (refused["state"], refused["failure"]["code"]) == ("failed", "identity_not_verified")
    sent = await ada.post("/v1/customers/me/documents", {"type": "NIN", "number": MISMATCH_NUMBER})
    assert (sent.status_code, sent.json()["state"], sent.json()["code"]) == (201, "rejected", "name_mismatch")
    wanted = {"type": "BVN", "number": "22334455667"}
    sent = await ada.post("/v1/customers/me/documents", wanted, key="k")
    assert (sent.status_code, sent.json()["state"]) == (201, "verified")
    again = await ada.post("/v1/customers/me/documents", wanted, key="k")
    assert (again.status_code, again.json(), again.headers["Idempotent-Replayed"]) == (201, sent.json(), "true")
    assert await verification(ada) == {"state": "verified"} | SHOWN | {"document_type": "BVN"}
    retried = await ada.post(f"/v1/transfers/{refused['id']}/retry", None)
    assert (retried.status_code, retried.json()["state"]) == (201, "completed")
    more = await ada.post("/v1/customers/me/documents", wanted)
    assert (more.status_code, more.json()["code"]) == (409, "identity_verified")
    listed = (await ada.get("/v1/customers/me/documents", limit=2)).json()
    assert [one["state"] for one in listed["items"]] == ["verified", "rejected"]
    rest = (await ada.get("/v1/customers/me/documents", limit=2, cursor=listed["next_cursor"])).json()
    assert ([one["code"] for one in rest["items"]], rest["next_cursor"]) == (["number_unknown"], None)


async def test_a_kept_answer_does_not_tell_the_number_to_whoever_tries_them_all(
    http: httpx.AsyncClient, owner: Connection
) -> None:
    ada = await with_number(http, REJECTED_NUMBER)
    wanted = {"type": "BVN", "number": "22334455667"}
    path = "/v1/customers/me/documents"
    assert (await ada.post(path, wanted, key="k")).status_code == 201
    plain = f"POST {path}\n".encode() + json.dumps(wanted, sort_keys=True, separators=(",", ":")).encode()
    kept = await owner.fetchval("SELECT request FROM answers WHERE owner_id = $1", ada.id)
    assert kept != hashlib.sha256(plain).hexdigest()
    other = await ada.post(path, wanted | {"number": "22334455668"}, key="k")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


async def test_a_slow_verifier_delays_the_verification_and_not_the_registration(http: httpx.AsyncClient) -> None:
    began = time.monotonic()
    ada = await with_number(http, SLOW_NUMBER)
    assert time.monotonic() - began < 1
    assert (await verification(ada))["state"] == "pending"
    await ada.deposit(500)
    assert (await withdrawn(ada))["failure"]["code"] == "identity_not_verified"
    undecided = await ada.post("/v1/customers/me/documents", {"type": "BVN", "number": "22334455667"})
    assert (undecided.status_code, undecided.json()["code"]) == (409, "document_undecided")
    await becomes(ada, "verified")
    assert (await withdrawn(ada))["state"] == "completed"


@pytest.mark.parametrize(("number", "state"), [(REVIEW_NUMBER, "in_review"), (DOWN_NUMBER, "pending")])
async def test_staff_decide_where_a_person_is_needed_or_the_verifier_is_away(
    http: httpx.AsyncClient, operator: Person, number: str, state: str
) -> None:
    ada = await with_number(http, number)
    await ada.deposit(500)
    (document,) = (await ada.get("/v1/customers/me/documents")).json()["items"]
    assert document["state"] == state
    waiting = (await operator.get("/v1/admin/documents", state=state)).json()["items"]
    assert document["id"] in {one["id"] for one in waiting}
    path = f"/v1/admin/documents/{document['id']}/decisions"
    decided = await operator.post(path, {"decision": "verify"} | WHY)
    assert (decided.status_code, decided.json()["state"]) == (200, "verified")
    assert (await withdrawn(ada))["state"] == "completed"
    other = await operator.post(path, {"decision": "reject"} | WHY)
    assert (other.status_code, other.json()["code"]) == (409, "document_decided")
    (kept,) = (await operator.get("/v1/admin/actions", subject=document["id"])).json()["items"]
    assert (kept["action"], kept["reason"]) == ("decide_document", WHY["reason"])


async def test_a_rejection_by_staff_tells_the_customer_its_code_and_not_their_reason(
    http: httpx.AsyncClient, operator: Person
) -> None:
    ada = await with_number(http, REVIEW_NUMBER)
    (document,) = (await ada.get("/v1/customers/me/documents")).json()["items"]
    path = f"/v1/admin/documents/{document['id']}/decisions"
    decided = await operator.post(path, {"decision": "reject", "code": "document_expired"} | WHY)
    assert decided.status_code == 200
    shown = await ada.get("/v1/auth/me")
    assert shown.json()["verification"]["code"] == "document_expired"
    assert WHY["reason"] not in shown.text


async def test_of_two_registrations_with_one_address_one_is_a_customer(http: httpx.AsyncClient) -> None:
    body = registration(identity_document={"type": "NIN", "number": SLOW_NUMBER})
    answers = await asyncio.gather(*(http.post("/v1/auth/register", json=body) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    assert {answered(answer)["code"] for answer in answers if answer.status_code == 409} == {"email_taken"}


# Without Temporal, and without a provider


@pytest.fixture
async def alone(settings: Settings, database: Database) -> AsyncIterator[httpx.AsyncClient]:
    """An API whose Temporal does not answer."""
    process = compose_api(settings.model_copy(update={"temporal_address": "127.0.0.1:9"}), database, with_worker=False)
    assert isinstance(process.services.temporal, TemporalGateway)
    async with client_of(settings, process) as http:
        yield http


async def test_registration_answers_within_a_second_while_temporal_is_away(
    alone: httpx.AsyncClient, owner: Connection
) -> None:
    for number, state in (("22334455667", "verified"), (DOWN_NUMBER, "pending")):
        began = time.monotonic()
        answer = await alone.post(
            "/v1/auth/register", json=registration(identity_document={"type": "NIN", "number": number})
        )
        assert time.monotonic() - began < 1
        assert answer.json()["customer"]["verification"]["state"] == state
    assert await owner.fetchval("SELECT count(*) FROM identity_documents") == 2


async def test_without_a_provider_and_without_the_sandbox_staff_decide_about_everybody(
    settings: Settings, database: Database
) -> None:
    process = compose_api(settings.model_copy(update={"sandbox_rails": False}), database, with_worker=False)
    async with client_of(settings, process) as http:
        answer = await http.post("/v1/auth/register", json=registration())
    assert answer.json()["customer"]["verification"]["state"] == "in_review"


async def test_registration_answers_within_a_second_while_a_provider_hangs(
    settings: Settings, database: Database
) -> None:
    async def hangs(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(hangs, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        process = compose_api(settings.model_copy(update={"verifier_url": url}), database, with_worker=False)
        async with client_of(settings, process) as http:
            began = time.monotonic()
            answer = await http.post("/v1/auth/register", json=registration())
            assert time.monotonic() - began < 1
    assert answer.json()["customer"]["verification"]["state"] == "pending"
