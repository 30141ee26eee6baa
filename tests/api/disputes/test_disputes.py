"""Disputes over HTTP: who may open, speak, look and decide, and what becomes of them."""

import asyncio
from typing import Any

import asyncpg
import httpx
import pytest
from temporalio.client import Client

from database.connections import Database
from disputes.dispute import DisputeDecision, DisputeRuling
from ledger.ids import CustomerId, DisputeId
from ledger.workflow_ids import dispute_workflow_id
from settings import Settings
from tests.api.people import Person, register, running_api
from tests.waiting import until


@pytest.fixture
async def paid(ada: Person, ben: Person) -> str:
    """A completed transfer of 100.00 from ada to ben."""
    return str((await ada.pay(ben, 10_000)).json()["id"])


@pytest.fixture
async def dispute(ada: Person, paid: str) -> str:
    """Ada's dispute about it."""
    answer = await opens(ada, paid)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def opens(person: Person, transfer_id: str, reason: str = "The goods never came") -> httpx.Response:
    return await person.post(f"/v1/transfers/{transfer_id}/disputes", {"reason": reason})


async def says(person: Person, dispute_id: str, text: str) -> httpx.Response:
    return await person.post(f"/v1/disputes/{dispute_id}/statements", {"text": text})


async def decides(person: Person, dispute_id: str, ruling: str, **more: Any) -> httpx.Response:
    body = {"ruling": ruling, "reason": "No proof of delivery"} | more
    return await person.post(f"/v1/admin/disputes/{dispute_id}/decisions", body)


async def becomes(person: Person, dispute_id: str, state: str) -> dict[str, Any]:
    async def seen() -> dict[str, Any]:
        return dict((await person.get(f"/v1/disputes/{dispute_id}")).json())

    async def has_become() -> bool:
        return bool((await seen())["state"] == state)

    await until(has_become, f"the dispute is {state}")
    return await seen()


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def test_the_course_of_a_dispute_is_seen_by_both_parties_to_its_end(
    ada: Person, ben: Person, operator: Person, paid: str
) -> None:
    opened = await opens(ada, paid)
    assert opened.headers["Location"] == f"/v1/disputes/{opened.json()['id']}"
    dispute = opened.json()["id"]
    assert (opened.json()["state"], opened.json()["reason"]) == ("open", "The goods never came")
    assert (await says(ben, dispute, "They were sent on Monday")).status_code == 201
    assert (await says(ada, dispute, "Nothing came")).status_code == 201
    decided = await decides(operator, dispute, "reverse", amount=6_000)
    assert decided.status_code == 200
    assert decided.json()["decided_by"] == operator.id
    for person in (ada, ben):
        ended = await becomes(person, dispute, "reversed")
        assert [(s["author"], s["text"]) for s in ended["statements"]] == [
            ("payee", "They were sent on Monday"),
            ("payer", "Nothing came"),
        ]
        assert (ended["amount"], ended["decided_reason"], ended["outcome"]) == (
            6_000,
            "No proof of delivery",
            "$60.00 was brought back to the payer.",
        )
        assert (ended["decided_by"], ended["payer_id"], ended["payee_id"]) == (None, None, None)
        reversal = (await person.get(f"/v1/transfers/{ended['reversal_transfer_id']}")).json()
        assert (reversal["reverses_transfer_id"], reversal["state"]) == (paid, "completed")
        listed = (await person.get("/v1/disputes")).json()["items"]
        assert [one["id"] for one in listed] == [dispute]
    assert [await ada.balance(), await ben.balance()] == [46_000, 4_000]
    actions = (await operator.get("/v1/admin/actions", subject=dispute)).json()["items"]
    assert [(a["action"], a["before"]["state"], a["after"]["state"]) for a in actions] == [
        ("decide_dispute", "open", "reversing")
    ]


async def test_a_rejected_dispute_is_closed_and_says_why(
    ada: Person, ben: Person, operator: Person, dispute: str
) -> None:
    decided = (await decides(operator, dispute, "reject")).json()
    assert (decided["state"], decided["closed_at"] is not None) == ("rejected", True)
    seen = (await ada.get(f"/v1/disputes/{dispute}")).json()
    assert (seen["state"], seen["decided_reason"]) == ("rejected", "No proof of delivery")
    assert code(await says(ada, dispute, "But")) == (409, "dispute_closed")
    assert code(await decides(operator, dispute, "reverse")) == (409, "dispute_closed")
    assert await ben.balance() == 10_000


async def test_only_the_payer_opens_one_at_a_time_about_what_can_be_reversed(
    http: httpx.AsyncClient, ada: Person, ben: Person, paid: str
) -> None:
    assert code(await opens(ben, paid)) == (404, "transfer_not_found")
    assert code(await opens(await register(http), paid)) == (404, "transfer_not_found")
    answers = await asyncio.gather(*(opens(ada, paid) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409]
    assert code(await opens(ada, paid)) == (409, "dispute_open")
    failed = (await ada.pay(ben, 900_000)).json()["id"]
    assert code(await opens(ada, failed)) == (409, "not_disputable")
    assert code(await opens(ada, (await ada.deposit(5))["id"])) == (409, "not_disputable")
    back = (await ada.pay(ben, 5)).json()["id"]
    await ben.post(f"/v1/transfers/{back}/reversals", {})
    assert code(await opens(ada, back)) == (409, "not_disputable")


async def test_strangers_see_nothing_and_staff_all(
    http: httpx.AsyncClient, ada: Person, operator: Person, dispute: str
) -> None:
    stranger = await register(http)
    assert code(await stranger.get(f"/v1/disputes/{dispute}")) == (404, "dispute_not_found")
    assert code(await says(stranger, dispute, "Hello")) == (404, "dispute_not_found")
    assert code(await says(operator, dispute, "Hello")) == (404, "dispute_not_found")
    assert code(await decides(ada, dispute, "reverse")) == (403, "forbidden")
    assert (await stranger.get("/v1/disputes")).json() == {"items": [], "next_cursor": None}
    assert (await operator.get(f"/v1/disputes/{dispute}")).json()["payer_id"] == ada.id
    assert [d["id"] for d in (await operator.get("/v1/admin/disputes", state="open")).json()["items"]] == [dispute]
    assert (await operator.get("/v1/admin/disputes", state="reversed")).json()["items"] == []
    assert code(await ada.get("/v1/admin/disputes")) == (403, "forbidden")


async def test_staff_who_are_a_party_do_not_decide(ada: Person, operator: Person) -> None:
    paid = (await ada.pay(operator, 100)).json()["id"]
    dispute = (await opens(ada, paid)).json()["id"]
    assert code(await decides(operator, dispute, "reject")) == (409, "decision_refused")
    assert (await operator.get(f"/v1/disputes/{dispute}")).json()["payer_id"] is None


async def test_of_two_operators_at_once_the_first_decides(
    ada: Person, operator: Person, admin: Person, dispute: str
) -> None:
    answers = await asyncio.gather(decides(operator, dispute, "reverse"), decides(admin, dispute, "reject"))
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    decided_to_reverse = answers[0].status_code == 200
    await becomes(ada, dispute, "reversed" if decided_to_reverse else "rejected")
    assert await ada.balance() == (50_000 if decided_to_reverse else 40_000)


async def test_the_same_decision_again_finds_it_made(ada: Person, operator: Person, dispute: str) -> None:
    answers = [await decides(operator, dispute, "reverse") for _ in range(3)]
    assert {answer.status_code for answer in answers} == {200}
    await becomes(ada, dispute, "reversed")
    assert await ada.balance() == 50_000


async def test_the_same_decision_with_another_amount_is_another_decision(
    ada: Person, operator: Person, dispute: str
) -> None:
    for _ in range(2):
        assert (await decides(operator, dispute, "reverse", amount=4_000)).status_code == 200
    for other in ({"amount": 5_000}, {}):
        assert code(await decides(operator, dispute, "reverse", **other)) == (409, "dispute_closed")
    await becomes(ada, dispute, "reversed")
    assert await ada.balance() == 44_000


async def test_staff_see_by_which_way_a_dispute_was_decided(
    ada: Person, ben: Person, operator: Person, dispute: str, client: Client
) -> None:
    typed = DisputeDecision(CustomerId(operator.id), DisputeRuling.REJECT, "Delivery is proven")
    await client.get_workflow_handle(dispute_workflow_id(DisputeId(dispute))).execute_update("decide", typed)
    other = str((await opens(ada, (await ada.pay(ben, 100)).json()["id"])).json()["id"])
    assert (await decides(operator, other, "reject")).json()["decided_channel"] == "api"
    for each, channel in ((dispute, "temporal"), (other, "api")):
        assert (await operator.get(f"/v1/disputes/{each}")).json()["decided_channel"] == channel
        assert (await ada.get(f"/v1/disputes/{each}")).json()["decided_channel"] is None
        (recorded,) = (await operator.get("/v1/admin/actions", subject=each)).json()["items"]
        assert (recorded["channel"], recorded["asked"]["ruling"]) == (channel, "reject")


async def test_more_than_is_left_is_not_decided(ada: Person, ben: Person, operator: Person, paid: str) -> None:
    dispute = (await opens(ada, paid)).json()["id"]
    await ben.post(f"/v1/transfers/{paid}/reversals", {"amount": 4_000})
    assert code(await decides(operator, dispute, "reverse", amount=6_001)) == (409, "decision_refused")
    await decides(operator, dispute, "reverse")
    assert (await becomes(ada, dispute, "reversed"))["amount"] == 6_000
    assert await ada.balance() == 50_000


async def test_a_transfer_is_disputed_for_so_long_only(database: Database, database_url: str, ada: Person) -> None:
    # The window is days: the transfer is made old instead, as nobody but the owner of the tables could.
    ben = await register(ada.http)
    paid = (await ada.pay(ben, 100)).json()["id"]
    connection = await asyncpg.connect(database_url)
    await connection.execute("UPDATE transfers SET completed_at = now() - interval '121 days' WHERE id = $1", paid)
    await connection.close()
    assert code(await opens(ada, paid)) == (409, "not_disputable")


async def test_a_dispute_is_opened_and_decided_without_a_worker_and_carried_out_by_the_next(
    settings: Settings, database: Database, ada: Person, ben: Person, operator: Person, paid: str
) -> None:
    nobody = settings.model_copy(update={"task_queue": f"{settings.task_queue}-later"})
    async with running_api(nobody, database, worker=False) as http:
        alone = [Person(http, one.id, one.account_id, one.token, one.email) for one in (ada, ben, operator)]
        dispute = (await opens(alone[0], paid)).json()["id"]
        assert (await says(alone[1], dispute, "They were sent on Monday")).status_code == 201
        assert (await decides(alone[2], dispute, "reverse")).json()["state"] == "reversing"
    async with running_api(nobody, database):
        assert len((await becomes(ada, dispute, "reversed"))["statements"]) == 1
    assert await ada.balance() == 50_000


async def test_each_party_says_so_much_and_bad_texts_are_refused(ada: Person, ben: Person, dispute: str) -> None:
    for number in range(20):
        assert (await says(ada, dispute, f"Word {number}")).status_code == 201
    assert code(await says(ada, dispute, "One more")) == (409, "too_many_statements")
    assert (await says(ben, dispute, "And I?")).status_code == 201
    for text in ("", " ", "x" * 2_001):
        assert code(await says(ben, dispute, text)) == (422, "validation_failed")


async def test_staff_hold_the_disputed_amount_and_the_payee_cannot_spend_it(
    ada: Person, ben: Person, operator: Person, dispute: str
) -> None:
    path, why = f"/v1/admin/disputes/{dispute}", {"reason": "ticket 4711"}
    assert code(await ada.post(f"{path}/hold", why)) == (403, "forbidden")
    held = await operator.post(f"{path}/hold", why)
    assert (held.status_code, held.json()["held_amount"]) == (200, 10_000)
    account = (await ben.get(f"/v1/accounts/{ben.account_id}")).json()
    assert (account["balance"], account["held"]) == (10_000, 10_000)
    assert (await ben.get(f"/v1/disputes/{dispute}")).json()["held_amount"] is None
    spent = (await ben.pay(ada, 1)).json()
    assert (spent["state"], spent["failure"]["code"]) == ("failed", "insufficient_funds")
    assert (await operator.post(f"{path}/release", why)).json()["held_amount"] == 0
    assert (await ben.pay(ada, 1)).json()["state"] == "completed"
    await operator.post(f"{path}/hold", why)
    await decides(operator, dispute, "reverse", amount=9_000)
    await becomes(ada, dispute, "reversed")
    assert [await ada.balance(), await ben.balance()] == [49_001, 999]
    assert code(await operator.post(f"{path}/hold", why)) == (409, "dispute_closed")


async def test_a_dispute_whose_reversal_is_retried_with_success_is_reversed(
    ada: Person, ben: Person, operator: Person, dispute: str
) -> None:
    await ben.pay(ada, 10_000)
    await decides(operator, dispute, "reverse")
    failed = await becomes(ada, dispute, "reversal_failed")
    await ada.pay(ben, 10_000)
    path = f"/v1/admin/transfers/{failed['reversal_transfer_id']}/retry"
    retried = await operator.post(path, {"reason": "ticket 4711"})
    assert (retried.status_code, retried.json()["state"]) == (201, "completed")
    ended = (await ada.get(f"/v1/disputes/{dispute}")).json()
    assert (ended["state"], ended["outcome"]) == ("reversed", "$100.00 was brought back to the payer.")


async def test_of_their_own_disputes_staff_see_what_a_party_sees(ada: Person, operator: Person, admin: Person) -> None:
    paid = (await ada.pay(operator, 100)).json()["id"]
    dispute = (await opens(ada, paid)).json()["id"]
    await decides(admin, dispute, "reject")
    (mine,) = (await operator.get("/v1/admin/disputes")).json()["items"]
    (theirs,) = (await admin.get("/v1/admin/disputes")).json()["items"]
    assert (mine["decided_by"], theirs["decided_by"]) == (None, admin.id)
