"""A customer asks for a higher tier with another document, and staff decide."""

import asyncio
import hashlib
import json

import httpx
import pytest
from temporalio.client import Client

from customers.documents.sandbox import REJECTED_NUMBER, REVIEW_NUMBER
from database.connections import Database
from ledger.ids import TierRequestId
from ledger.workflow_ids import tier_request_workflow_id
from settings import Settings
from staff.permissions import Role
from tests.api.people import Person, answered, register
from tests.connections import Connection
from tests.orders import promoted
from tests.waiting import until
from workflows.payloads import DATA_CONVERTER

WHY = {"reason": "The document is genuine"}
# The sandbox's verifier leaves it to a person.
DOCUMENT = {"type": "BVN", "number": REVIEW_NUMBER}


@pytest.fixture
async def ada(http: httpx.AsyncClient) -> Person:
    return await register(http)


async def asked(person: Person, tier: int = 2, number: str = REVIEW_NUMBER) -> dict[str, object]:
    document = {"type": "BVN", "number": number}
    path = f"/v1/accounts/{person.account_id}/tier-requests"
    answer = await person.post(path, {"tier": tier, "document": document})
    assert answer.status_code == 201, answer.text
    assert answer.headers["Location"] == f"/v1/tier-requests/{answer.json()['id']}"
    return dict(answer.json())


async def decided(person: Person, request: dict[str, object], ruling: str = "approve") -> httpx.Response:
    return await person.post(f"/v1/admin/tier-requests/{request['id']}/decisions", {"ruling": ruling} | WHY)


async def tier_of(person: Person) -> int:
    return int((await person.get(f"/v1/accounts/{person.account_id}")).json()["tier"])


async def test_an_approved_request_raises_the_tier_at_once_and_is_on_record(
    ada: Person, operator: Person, admin: Person
) -> None:
    request = await asked(ada)
    assert (request["state"], request["tier"], request["document"]) == (
        "open",
        2,
        {"type": "BVN", "last_characters": "004"},
    )
    answer = await decided(operator, request)
    assert (answer.status_code, answer.json()["state"]) == (200, "approved")
    assert await tier_of(ada) == 2
    limits = (await ada.get(f"/v1/accounts/{ada.account_id}/limits")).json()
    assert limits["one_transaction"]["limit"] == 20_000_000
    mine = (await ada.get(f"/v1/tier-requests/{request['id']}")).json()
    assert (mine["state"], mine["closed_reason"]) == ("approved", WHY["reason"])
    (action,) = (await admin.get("/v1/admin/actions", subject=request["id"])).json()["items"]
    assert (action["action"], action["actor_id"], action["before"], action["after"]) == (
        "decide_tier_request",
        operator.id,
        {"state": "open", "tier": 1},
        {"state": "approved", "tier": 2},
    )


async def test_a_request_for_the_highest_tiers_needs_two_different_people(
    ada: Person, operator: Person, admin: Person
) -> None:
    request = await asked(ada, 3)
    for _ in range(2):  # one person counts once
        assert (await decided(operator, request)).json()["state"] == "open"
    assert await tier_of(ada) == 1
    file = (await admin.get(f"/v1/admin/tier-requests/{request['id']}")).json()
    assert (file["approvals"], [each["decided_by"] for each in file["decisions"]]) == (2, [operator.id])
    assert (await decided(admin, request)).json()["state"] == "approved"
    assert await tier_of(ada) == 3


async def test_one_rejection_ends_a_request_and_another_one_may_follow(ada: Person, operator: Person) -> None:
    request = await asked(ada)
    assert (await decided(operator, request, "reject")).json()["state"] == "rejected"
    assert answered(await decided(operator, request, "approve"))["code"] == "tier_request_closed"
    assert await tier_of(ada) == 1
    again = await asked(ada)
    listed = (await ada.get(f"/v1/accounts/{ada.account_id}/tier-requests")).json()["items"]
    assert [each["id"] for each in listed] == [again["id"], request["id"]]
    found = (await operator.get("/v1/admin/tier-requests", state="open")).json()["items"]
    assert [each["id"] for each in found] == [again["id"]]


async def test_a_tier_that_is_not_higher_and_a_second_request_are_refused(ada: Person, admin: Person) -> None:
    path = f"/v1/accounts/{ada.account_id}/tier-requests"
    first, second = await asyncio.gather(*(ada.post(path, {"tier": 2, "document": DOCUMENT}) for _ in range(2)))
    assert sorted((first.status_code, second.status_code)) == [201, 409]
    refused = first if first.status_code == 409 else second
    assert refused.json()["code"] == "tier_request_open"
    await admin.post(f"/v1/admin/accounts/{ada.account_id}/tier", {"tier": 4} | WHY)
    assert answered(await ada.post(path, {"tier": 4, "document": DOCUMENT}))["code"] == "tier_not_higher"


async def test_an_approval_never_lowers_a_tier_that_staff_have_set_meanwhile(
    ada: Person, operator: Person, admin: Person
) -> None:
    request = await asked(ada)
    await admin.post(f"/v1/admin/accounts/{ada.account_id}/tier", {"tier": 5} | WHY)
    assert (await decided(operator, request)).json()["state"] == "approved"
    assert await tier_of(ada) == 5


async def test_nobody_decides_about_their_own_account(
    http: httpx.AsyncClient, database: Database, operator: Person
) -> None:
    request = await asked(operator)
    assert answered(await decided(operator, request))["code"] == "conflict_of_interest"
    olu = await register(http, full_name="Olu Ade")
    await promoted(database, olu.id, Role.OPERATOR)
    assert (await decided(olu, request)).status_code == 200


async def test_the_number_of_the_document_is_encrypted_and_never_shown(
    ada: Person, operator: Person, owner: Connection
) -> None:
    request = await asked(ada)
    shown = [
        await ada.get(f"/v1/tier-requests/{request['id']}"),
        await operator.get(f"/v1/admin/tier-requests/{request['id']}"),
        await operator.get("/v1/admin/tier-requests"),
    ]
    assert all(DOCUMENT["number"] not in answer.text for answer in shown)
    row = await owner.fetchval("SELECT r::text FROM tier_requests r")
    assert DOCUMENT["number"] not in row


async def test_a_workflow_shows_the_request_and_ends_with_it(
    ada: Person, operator: Person, http: httpx.AsyncClient, settings: Settings
) -> None:
    request = await asked(ada)
    assert settings.temporal_address is not None
    client = await Client.connect(settings.temporal_address, data_converter=DATA_CONVERTER)
    handle = client.get_workflow_handle(tier_request_workflow_id(TierRequestId(str(request["id"]))))
    await decided(operator, request)
    assert await asyncio.wait_for(handle.result(), 20) == "approved"


async def closed(person: Person, request: dict[str, object]) -> dict[str, object]:
    async def is_closed() -> bool:
        return bool((await person.get(f"/v1/tier-requests/{request['id']}")).json()["state"] != "open")

    await until(is_closed, "the verifier has decided")
    return dict((await person.get(f"/v1/tier-requests/{request['id']}")).json())


async def test_a_verifier_approves_a_genuine_document_and_rejects_another_one(ada: Person) -> None:
    rejected = await closed(ada, await asked(ada, number=REJECTED_NUMBER))
    assert (rejected["state"], await tier_of(ada)) == ("rejected", 1)
    assert "knows no document with this number" in str(rejected["closed_reason"])
    approved = await closed(ada, await asked(ada, number="98765432109"))
    assert (approved["state"], approved["closed_reason"]) == ("approved", "The document was verified.")
    assert await tier_of(ada) == 2


async def test_a_verifier_alone_gives_nobody_a_tier_that_two_people_have_to_approve(
    ada: Person, operator: Person, admin: Person
) -> None:
    request = await asked(ada, 3, "98765432109")
    for person in (operator, admin):
        assert (await tier_of(ada), (await decided(person, request)).status_code) == (1, 200)
    assert await tier_of(ada) == 3


async def test_a_kept_answer_does_not_tell_the_number_of_the_document(ada: Person, owner: Connection) -> None:
    path, wanted = f"/v1/accounts/{ada.account_id}/tier-requests", {"document": DOCUMENT, "tier": 2}
    assert (await ada.post(path, wanted, "k")).status_code == 201
    plain = f"POST {path}\n".encode() + json.dumps(wanted, sort_keys=True, separators=(",", ":")).encode()
    kept = await owner.fetchval("SELECT request FROM answers WHERE owner_id = $1", ada.id)
    assert kept != hashlib.sha256(plain).hexdigest()
    assert (await ada.post(path, wanted, "k")).headers["Idempotent-Replayed"] == "true"
    other = await ada.post(path, wanted | {"document": DOCUMENT | {"number": "98765432109"}}, "k")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
