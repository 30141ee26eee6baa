"""Staff intervene in transfers over HTTP, and each action is recorded with who, why, before and after."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from temporalio.client import Client, WorkflowUpdateFailedError

from database.connections import Database
from devenv.demo.postgres import holding
from ledger.ids import AccountId
from ledger.postgres.book import Book
from ledger.transfers import Standing, Step
from settings import Settings
from staff.update_input import StaffRequest
from tests.api.people import Person, in_review, reaches, register, running_api
from tests.waiting import until

WHY = {"reason": "ticket 4711"}


@pytest.fixture
async def http(settings: Settings, database: Database) -> AsyncIterator[httpx.AsyncClient]:
    """Review from 100.00 on, and four eyes from 300.00 on."""
    careful = settings.model_copy(update={"review_from_major": 100, "four_eyes_from_major": 300})
    async with running_api(careful, database) as http:
        yield http


@pytest.fixture
async def ada(http: httpx.AsyncClient) -> Person:
    person = await register(http)
    for _ in range(10):
        await person.deposit(9_000)
    return person


class HeldBook(Book):
    """Credits wait, once somebody says so, until they may go on."""

    reached, go_on = asyncio.Event(), asyncio.Event()
    holds = False

    async def credit(self, step: Step) -> Standing:
        if HeldBook.holds:
            HeldBook.reached.set()
            await asyncio.wait_for(HeldBook.go_on.wait(), timeout=30)
        return await super().credit(step)


def answered(answer: httpx.Response) -> tuple[int, str]:
    """The status, and the state or what was refused."""
    body = answer.json()
    return answer.status_code, body["code"] if answer.status_code >= 400 else body["state"]


async def recorded(admin: Person, subject: str) -> list[tuple[str, str, str, Any, Any]]:
    """What was taken, oldest first."""
    items = (await admin.get("/v1/admin/actions", subject=subject)).json()["items"]
    return [
        (a["action"], a["actor_id"], a["reason"], a["before"], a["after"])
        for a in reversed(items)
        if a["outcome"] == "taken"
    ]


async def test_an_operator_cancels_until_the_credit(
    ada: Person, ben: Person, operator: Person, admin: Person, book: Book
) -> None:
    waiting = await in_review(ada, ben, 10_000)
    answer = await operator.post(f"/v1/admin/transfers/{waiting}/cancel", WHY)
    assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    async with holding(book.database, AccountId(ben.account_id)):
        moving = str((await ada.pay(ben, 100, prefer="wait=0")).json()["id"])
        await reaches(ada, moving, "debited")
        assert (await operator.post(f"/v1/admin/transfers/{moving}/cancel", WHY)).status_code == 200
        await reaches(ada, moving, "compensated")
    assert [action for action, *_ in await recorded(admin, moving)] == ["cancel_transfer"]
    done = str((await ada.pay(ben, 100)).json()["id"])
    late = await operator.post(f"/v1/admin/transfers/{done}/cancel", WHY)
    assert (late.status_code, late.json()["code"]) == (409, "too_late_to_cancel")
    assert await ada.balance() == 89_900


async def test_a_stuck_step_is_listed_retried_and_its_amount_given_back(
    ada: Person, ben: Person, operator: Person, admin: Person, book: Book
) -> None:
    async with holding(book.database, AccountId(ben.account_id)):
        moving = str((await ada.pay(ben, 100, prefer="wait=0")).json()["id"])
        await reaches(ada, moving, "debited")
        listed = (await operator.get("/v1/admin/transfers", older_than_seconds=0)).json()["items"]
        assert [transfer["id"] for transfer in listed] == [moving]

        async def is_tried_again() -> bool:
            answer = await operator.post(f"/v1/admin/transfers/{moving}/retry-now", WHY)
            return answer.status_code == 200

        await until(is_tried_again, "the step is in doubt, and may be tried again")
        assert (await operator.post(f"/v1/admin/transfers/{moving}/give-back", WHY)).status_code == 200
        await reaches(ada, moving, "compensated")
    steps = await recorded(admin, moving)
    assert [action for action, *_ in steps] == ["retry_step", "give_back"]
    assert [after for *_, after in steps] == [{"state": "debited", "attempt": 1}] * 2
    for what in ("retry-now", "give-back"):
        late = await operator.post(f"/v1/admin/transfers/{moving}/{what}", WHY)
        assert (late.status_code, late.json()["code"]) == (409, "too_late")


async def test_an_operator_retries_what_failed(ada: Person, ben: Person, operator: Person, admin: Person) -> None:
    failed = str((await ben.pay(ada, 100)).json()["id"])
    await ada.pay(ben, 100)
    again = await operator.post(f"/v1/admin/transfers/{failed}/retry", WHY)
    assert (again.status_code, again.json()["state"], again.json()["attempt"]) == (201, "completed", 2)
    assert [(action, after) for action, _, _, _, after in await recorded(admin, failed)] == [
        ("retry_transfer", {"state": "completed", "attempt": 2})
    ]
    attempts = (await operator.get(f"/v1/admin/transfers/{failed}")).json()["attempts"]
    assert [(a["attempt"], a["state"], a["failure"] and a["failure"]["code"]) for a in attempts] == [
        (1, "failed", "insufficient_funds"),
        (2, "completed", None),
    ]


async def test_customers_intervene_in_nothing(ada: Person, ben: Person) -> None:
    transfer_id = await in_review(ada, ben, 10_000)
    for what in ("decisions", "cancel", "retry", "retry-now", "give-back"):
        answer = await ada.post(f"/v1/admin/transfers/{transfer_id}/{what}", {"ruling": "approve", **WHY})
        assert answer.status_code == 403
    assert (await ada.post("/v1/admin/reviews/decisions", {"ruling": "approve", **WHY})).status_code == 403


async def test_staff_intervene_in_no_transfer_that_they_are_a_party_of(
    ada: Person, ben: Person, operator: Person, admin: Person, book: Book, client: Client
) -> None:
    paid_to_me = str((await ben.pay(operator, 100)).json()["id"])
    await ada.pay(ben, 100)
    again = await operator.post(f"/v1/admin/transfers/{paid_to_me}/retry", WHY)
    assert answered(again) == (403, "conflict_of_interest")
    await operator.deposit(500)
    async with holding(book.database, AccountId(ben.account_id)):
        paid_by_me = (await operator.pay(ben, 500, prefer="wait=0")).json()
        await reaches(operator, paid_by_me["id"], "debited")
        path = f"/v1/admin/transfers/{paid_by_me['id']}"
        for what in ("cancel", "retry-now", "give-back"):
            assert answered(await operator.post(f"{path}/{what}", WHY)) == (403, "conflict_of_interest")
        handle = client.get_workflow_handle(paid_by_me["workflow_id"])
        with pytest.raises(WorkflowUpdateFailedError) as error:
            await handle.execute_update("give_back", StaffRequest(operator.email, "my own"))
        assert "concerns yourself" in str(error.value.cause)
        assert (await admin.post(f"{path}/give-back", WHY)).status_code == 200
        await reaches(operator, paid_by_me["id"], "compensated")
    assert [action for action, *_ in await recorded(admin, paid_by_me["id"])] == ["give_back"]
    assert await recorded(admin, paid_to_me) == []
    assert (await ben.get(f"/v1/transfers/{paid_to_me}")).json()["attempt"] == 1


async def failed_reversal(payer: Person, payee: Person, admin: Person, amount: int) -> str:
    """An admin's, of what the payee has spent."""
    paid = (await payer.pay(payee, amount)).json()["id"]
    await payee.pay(payer, amount)
    made = await admin.post(f"/v1/transfers/{paid}/reversals", {"reason": "Court order 7"})
    assert answered(made) == (201, "failed")
    return str(made.json()["id"])


async def test_a_reversal_by_staff_is_tried_again_by_admins_on_record_and_by_no_party(
    ada: Person, ben: Person, operator: Person, admin: Person
) -> None:
    reversal = await failed_reversal(ada, ben, admin, 5_000)
    await ben.deposit(5_000)
    for what in ("retry", "cancel"):
        answer = await admin.post(f"/v1/transfers/{reversal}/{what}", None)
        assert answered(answer) == (403, "forbidden")
        assert f"/v1/admin/transfers/{reversal}" in answer.json()["detail"]
    path = f"/v1/admin/transfers/{reversal}/retry"
    assert answered(await operator.post(path, WHY)) == (403, "forbidden")
    assert answered(await admin.post(path, WHY)) == (201, "completed")
    assert [action for action, *_ in await recorded(admin, reversal)] == ["retry_transfer"]
    await operator.deposit(500)
    mine = await failed_reversal(operator, ben, admin, 500)
    await ben.deposit(500)
    assert answered(await operator.post(f"/v1/admin/transfers/{mine}/retry", WHY)) == (403, "conflict_of_interest")
    assert (await admin.get(f"/v1/transfers/{mine}")).json()["attempt"] == 1


async def test_a_reversal_that_does_not_fit_any_more_is_not_tried_again_by_staff(
    ada: Person, ben: Person, admin: Person
) -> None:
    reversal = await failed_reversal(ada, ben, admin, 5_000)
    await ben.deposit(9_000)
    original = (await admin.get(f"/v1/transfers/{reversal}")).json()["reverses_transfer_id"]
    assert answered(await ben.post(f"/v1/transfers/{original}/reversals", {"amount": 1})) == (201, "completed")
    answer = await admin.post(f"/v1/admin/transfers/{reversal}/retry", WHY)
    assert answered(answer) == (409, "reversal_too_large")
    actions = (await admin.get("/v1/admin/actions", subject=reversal)).json()["items"]
    assert [(a["outcome"], a["answer"]) for a in actions] == [("refused", "At most $49.99 is left to reverse.")]


async def test_operators_try_again_what_a_dispute_was_decided_to(
    ada: Person, ben: Person, operator: Person, admin: Person
) -> None:
    paid = (await ada.pay(ben, 5_000)).json()["id"]
    await ben.pay(ada, 5_000)
    dispute = (await ada.post(f"/v1/transfers/{paid}/disputes", {"reason": "Nothing came"})).json()["id"]
    await operator.post(f"/v1/admin/disputes/{dispute}/decisions", {"ruling": "reverse", **WHY})

    async def has_failed() -> bool:
        return bool((await ada.get(f"/v1/disputes/{dispute}")).json()["state"] == "reversal_failed")

    await until(has_failed, "the reversal has failed")
    reversal = (await operator.get(f"/v1/disputes/{dispute}")).json()["reversal_transfer_id"]
    await ben.deposit(5_000)
    assert answered(await operator.post(f"/v1/transfers/{reversal}/retry", None)) == (403, "forbidden")
    assert answered(await operator.post(f"/v1/admin/transfers/{reversal}/retry", WHY)) == (201, "completed")
    assert [action for action, *_ in await recorded(admin, reversal)] == ["retry_transfer"]


async def test_a_cancel_that_the_credit_overtakes_is_answered_that_it_was_too_late(
    settings: Settings, database: Database, ada: Person, ben: Person, operator: Person, client: Client
) -> None:
    elsewhere = settings.model_copy(update={"task_queue": f"{settings.task_queue}-held"})
    async with running_api(elsewhere, database, book=HeldBook) as http:
        HeldBook.reached, HeldBook.go_on, HeldBook.holds = asyncio.Event(), asyncio.Event(), True
        payer, staff = (Person(http, one.id, one.account_id, one.token, one.email) for one in (ada, operator))
        moving = (await payer.pay(ben, 100, prefer="wait=0")).json()
        await asyncio.wait_for(HeldBook.reached.wait(), timeout=30)
        cancelling = asyncio.create_task(staff.post(f"/v1/admin/transfers/{moving['id']}/cancel", WHY))
        handle = client.get_workflow_handle(moving["workflow_id"])

        async def is_accepted() -> bool:
            return "workflowExecutionUpdateAccepted" in (await handle.fetch_history()).to_json()

        try:
            await until(is_accepted, "the workflow has accepted the update")
        finally:
            HeldBook.go_on.set()
        assert answered(await cancelling) == (409, "too_late_to_cancel")
        HeldBook.holds = False
    assert (await ada.get(f"/v1/transfers/{moving['id']}")).json()["state"] == "completed"


async def test_an_amount_in_transit_without_a_workflow_is_for_recovery_and_not_too_late(
    ada: Person, ben: Person, operator: Person, admin: Person, book: Book, client: Client
) -> None:
    async with holding(book.database, AccountId(ben.account_id)):
        moving = (await ada.pay(ben, 100, prefer="wait=0")).json()
        await reaches(ada, moving["id"], "debited")
        await client.get_workflow_handle(moving["workflow_id"]).terminate("lost")
        for what in ("cancel", "give-back", "retry-now"):
            answer = await operator.post(f"/v1/admin/transfers/{moving['id']}/{what}", WHY)
            assert answered(answer) == (503, "workflow_lost")
            assert ("in transit" in answer.json()["detail"], answer.headers["Retry-After"]) == (True, "60")
    actions = (await admin.get("/v1/admin/actions", subject=moving["id"])).json()["items"]
    assert [action["outcome"] for action in actions] == ["refused"] * 3
