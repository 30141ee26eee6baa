"""Customers intervene in their own transfers: cancel until the debit, retry what did not work."""

import asyncio

import httpx

from database.connections import Database
from devenv.demo.postgres import holding
from ledger.accounts import AccountStatus
from ledger.ids import AccountId
from ledger.postgres.book import Book
from settings import Settings
from tests.account_status import set_account_status
from tests.api.people import Person, reaches, register, running_api


async def state_of(person: Person, transfer_id: str) -> str:
    return str((await person.get(f"/v1/transfers/{transfer_id}")).json()["state"])


async def test_a_transfer_is_cancelled_until_its_debit_and_a_cancelled_one_stays_so(
    ada: Person, ben: Person, book: Book
) -> None:
    async with holding(book.database, AccountId(ada.account_id)):
        transfer = (await ada.pay(ben, 100, prefer="wait=0")).json()
        for _ in range(2):
            answer = await ada.post(f"/v1/transfers/{transfer['id']}/cancel", None)
            assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    await reaches(ada, transfer["id"], "cancelled")
    assert [await ada.balance(), await ben.balance()] == [50_000, 0]


async def test_after_the_debit_it_is_too_late_and_nothing_changes(ada: Person, ben: Person, book: Book) -> None:
    async with holding(book.database, AccountId(ben.account_id)):
        transfer = (await ada.pay(ben, 100, prefer="wait=0")).json()
        await reaches(ada, transfer["id"], "debited")
        answer = await ada.post(f"/v1/transfers/{transfer['id']}/cancel", None)
        assert (answer.status_code, answer.json()["code"]) == (409, "too_late_to_cancel")
    await reaches(ada, transfer["id"], "completed")
    answer = await ada.post(f"/v1/transfers/{transfer['id']}/cancel", None)
    assert (answer.status_code, answer.json()["code"]) == (409, "too_late_to_cancel")
    assert await ben.balance() == 100


async def test_a_transfer_in_review_is_cancelled_at_once(settings: Settings, database: Database) -> None:
    careful = settings.model_copy(update={"review_from_major": 10})
    async with running_api(careful, database) as http:
        ada, ben = await register(http), await register(http)
        await ada.deposit(900)
        await ada.deposit(900)
        transfer = (await ada.pay(ben, 1_500, prefer="wait=0")).json()
        await reaches(ada, transfer["id"], "in_review")
        answer = await ada.post(f"/v1/transfers/{transfer['id']}/cancel", None)
        assert answer.json()["state"] == "cancelled"
        assert await ada.balance() == 1_800


async def test_a_failed_transfer_is_retried_under_its_id_and_key_with_every_attempt_to_see(
    ada: Person, ben: Person
) -> None:
    failed = (await ada.pay(ben, 60_000, "rent")).json()
    assert (failed["state"], failed["attempt"]) == ("failed", 1)
    await ada.deposit(20_000)
    answer = await ada.post(f"/v1/transfers/{failed['id']}/retry", None)
    assert answer.status_code == 201
    again = answer.json()
    assert (again["id"], again["state"], again["attempt"], again["failure"]) == (failed["id"], "completed", 2, None)
    assert again["workflow_id"] == f"{failed['workflow_id']} #2"
    attempts = (await ada.get(f"/v1/transfers/{failed['id']}/attempts")).json()["items"]
    assert [(a["attempt"], a["state"], a["failure"] and a["failure"]["code"]) for a in attempts] == [
        (1, "failed", "insufficient_funds"),
        (2, "completed", None),
    ]
    assert (await ada.pay(ben, 60_000, "rent")).json() == again
    assert await ben.balance() == 60_000


async def test_a_compensated_transfer_is_retried(ada: Person, ben: Person, book: Book) -> None:
    async with holding(book.database, AccountId(ben.account_id)) as held:
        transfer = (await ada.pay(ben, 100, prefer="wait=0")).json()
        await reaches(ada, transfer["id"], "debited")
        await held.set_status(AccountStatus.FROZEN)
    await reaches(ada, transfer["id"], "compensated")
    await set_account_status(book.database, AccountId(ben.account_id), AccountStatus.ACTIVE)
    answer = await ada.post(f"/v1/transfers/{transfer['id']}/retry", None)
    assert (answer.json()["state"], answer.json()["attempt"]) == ("completed", 2)
    assert await ben.balance() == 100


async def test_there_are_three_attempts_and_no_fourth(ada: Person, ben: Person) -> None:
    path = f"/v1/transfers/{(await ada.pay(ben, 60_000)).json()['id']}/retry"
    assert [(await ada.post(path, None)).json()["attempt"] for _ in range(2)] == [2, 3]
    answer = await ada.post(path, None)
    assert (answer.status_code, answer.json()["code"]) == (409, "attempts_used_up")


async def test_a_completed_transfer_is_not_retried(ada: Person, ben: Person) -> None:
    done = (await ada.pay(ben, 100)).json()
    answer = await ada.post(f"/v1/transfers/{done['id']}/retry", None)
    assert (answer.status_code, answer.json()["code"]) == (409, "not_retryable")


async def test_ten_retries_at_once_make_one_attempt(ada: Person, ben: Person) -> None:
    failed = (await ada.pay(ben, 60_000)).json()
    await ada.deposit(20_000)

    async def retry() -> httpx.Response:
        return await ada.post(f"/v1/transfers/{failed['id']}/retry", None)

    answers = await asyncio.gather(*(retry() for _ in range(10)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert {answer.json()["attempt"] for answer in answers if answer.status_code == 201} == {2}
    assert await ben.balance() == 60_000


async def test_a_payee_can_neither_cancel_nor_retry(ada: Person, ben: Person) -> None:
    done = (await ada.pay(ben, 100)).json()
    for what in ("cancel", "retry"):
        assert (await ben.post(f"/v1/transfers/{done['id']}/{what}", None)).status_code == 404
