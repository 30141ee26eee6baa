"""Staff steer transfers over HTTP, and each action is recorded with who, why, before and after."""

from collections.abc import AsyncIterator

import httpx
import pytest

from ledger.ids import AccountId
from ledger.postgres.book import Book
from ledger.postgres.database import Database
from settings import Settings
from tests.api.people import Person, register, running_api
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


async def reaches(person: Person, transfer_id: str, state: str) -> None:
    async def has() -> bool:
        return bool((await person.get(f"/v1/transfers/{transfer_id}")).json()["state"] == state)

    await until(has, f"the transfer is {state}")


async def in_review(ada: Person, ben: Person, amount: int) -> str:
    transfer_id = str((await ada.pay(ben, amount, prefer="wait=0")).json()["id"])
    await reaches(ada, transfer_id, "in_review")
    return transfer_id


async def recorded(admin: Person, subject: str) -> list[tuple[str, str, str, object, object]]:
    """What was taken, oldest first."""
    items = (await admin.get("/v1/admin/actions", subject=subject)).json()["items"]
    return [
        (a["action"], a["actor_id"], a["reason"], a["before"], a["after"])
        for a in reversed(items)
        if a["outcome"] == "taken"
    ]


async def test_a_reviewed_transfer_goes_on_and_the_decision_is_recorded(
    ada: Person, ben: Person, operator: Person, admin: Person
) -> None:
    transfer_id = await in_review(ada, ben, 20_000)
    path = f"/v1/admin/transfers/{transfer_id}/decisions"
    answer = await operator.post(path, {"ruling": "approve", **WHY})
    assert answer.status_code == 200, answer.text
    await reaches(ada, transfer_id, "completed")
    assert await recorded(admin, transfer_id) == [
        (
            "decide_review",
            operator.id,
            "ticket 4711",
            {"state": "in_review", "attempt": 1},
            {"ruling": "approve"},
        )
    ]
    late = await admin.post(path, {"ruling": "reject", **WHY})
    assert (late.status_code, late.json()["code"]) == (409, "too_late")


async def test_four_eyes_are_two_people(ada: Person, ben: Person, operator: Person, admin: Person) -> None:
    transfer_id = await in_review(ada, ben, 30_000)
    path = f"/v1/admin/transfers/{transfer_id}/decisions"
    for _ in range(2):
        assert (await operator.post(path, {"ruling": "approve", **WHY})).status_code == 200
    other = await operator.post(path, {"ruling": "reject", **WHY})
    assert (other.status_code, other.json()["code"]) == (409, "decision_refused")
    assert (await ada.get(f"/v1/transfers/{transfer_id}")).json()["state"] == "in_review"
    assert (await admin.post(path, {"ruling": "approve", **WHY})).status_code == 200
    await reaches(ada, transfer_id, "completed")


async def test_a_rejection_ends_a_transfer(ada: Person, ben: Person, operator: Person) -> None:
    transfer_id = await in_review(ada, ben, 30_000)
    await operator.post(f"/v1/admin/transfers/{transfer_id}/decisions", {"ruling": "reject", **WHY})
    await reaches(ada, transfer_id, "failed")
    assert (await ada.get(f"/v1/transfers/{transfer_id}")).json()["failure"]["code"] == "review_rejected"


async def test_many_are_decided_at_once_with_progress(ada: Person, ben: Person, operator: Person) -> None:
    ids = [await in_review(ada, ben, 10_000 + n) for n in range(4)]
    search = {"ruling": "approve", "max_amount": 10_002, "owner_id": ada.id, **WHY}
    started = await operator.post("/v1/admin/reviews/decisions", search)
    assert (started.status_code, started.json()["total"]) == (202, 3)

    async def is_done() -> bool:
        return bool((await operator.get(started.headers["Location"])).json()["done"])

    await until(is_done, "the batch is done")
    assert (await operator.get(started.headers["Location"])).json()["taken"] == 3
    for transfer_id in ids[:3]:
        await reaches(ada, transfer_id, "completed")
    assert (await ada.get(f"/v1/transfers/{ids[3]}")).json()["state"] == "in_review"
    nothing = await operator.post("/v1/admin/reviews/decisions", {"ruling": "approve", "min_amount": 99_999, **WHY})
    assert (nothing.status_code, nothing.json()["code"]) == (409, "nothing_matches")


async def test_an_operator_cancels_until_the_credit(
    ada: Person, ben: Person, operator: Person, admin: Person, book: Book
) -> None:
    waiting = await in_review(ada, ben, 10_000)
    answer = await operator.post(f"/v1/admin/transfers/{waiting}/cancel", WHY)
    assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    async with book.holding(AccountId(ben.account_id)):
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
    async with book.holding(AccountId(ben.account_id)):
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
    assert [action for action, *_ in await recorded(admin, moving)] == ["retry_step", "give_back"]
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


async def test_customers_steer_nothing_but_their_own(ada: Person, ben: Person) -> None:
    transfer_id = await in_review(ada, ben, 10_000)
    for what in ("decisions", "cancel", "retry", "retry-now", "give-back"):
        answer = await ada.post(f"/v1/admin/transfers/{transfer_id}/{what}", {"ruling": "approve", **WHY})
        assert answer.status_code == 403
    assert (await ada.post("/v1/admin/reviews/decisions", {"ruling": "approve", **WHY})).status_code == 403
