"""Who may try a transfer again, and what another attempt may not do."""

import asyncio
import secrets
from collections.abc import AsyncIterator

import httpx
import pytest
from pydantic import SecretStr
from temporalio.client import Client

from api_services import compose_api
from database.connections import Database
from devenv.demo.postgres import holding
from ledger.accounts import AccountStatus
from ledger.ids import AccountId
from ledger.postgres.book import Book
from settings import Settings
from staff.permissions import Role
from tests.account_status import set_account_status
from tests.api.people import Person, client_of, reaches, register, running_api
from tests.orders import NEXT_FINGERPRINT_KEY, promoted
from workflows.recovery import RecoveryWorkflow


def answered(answer: httpx.Response) -> tuple[int, str]:
    body = answer.json()
    return answer.status_code, str(body.get("code") or body["state"])


async def retry(person: Person, transfer_id: str) -> httpx.Response:
    return await person.post(f"/v1/transfers/{transfer_id}/retry", None)


async def retry_as_staff(staff: Person, transfer_id: str) -> httpx.Response:
    return await staff.post(f"/v1/admin/transfers/{transfer_id}/retry", {"reason": "ticket 4711"})


@pytest.fixture
async def strict(settings: Settings, database: Database) -> AsyncIterator[httpx.AsyncClient]:
    """An API whose reviewers see everything from 10.00 on."""
    async with running_api(settings.model_copy(update={"review_from_major": 10}), database) as http:
        yield http


async def test_a_transfer_that_staff_cancelled_in_transit_is_not_its_customers_to_try_again(
    ada: Person, ben: Person, operator: Person, book: Book
) -> None:
    async with holding(book.database, AccountId(ben.account_id)):
        transfer_id = (await ada.pay(ben, 100, prefer="wait=0")).json()["id"]
        await reaches(ada, transfer_id, "debited")
        path = f"/v1/admin/transfers/{transfer_id}/give-back"
        assert (await operator.post(path, {"reason": "ticket 4711"})).status_code == 200
    await reaches(ada, transfer_id, "compensated")
    assert answered(await retry(ada, transfer_id)) == (403, "ended_by_staff")
    assert answered(await retry_as_staff(operator, transfer_id)) == (201, "completed")
    assert await ben.balance() == 100


async def test_a_transfer_that_a_reviewer_rejected_is_not_its_customers_to_try_again(
    strict: httpx.AsyncClient, database: Database
) -> None:
    ada, ben, staff = await register(strict), await register(strict), await register(strict)
    await promoted(database, staff.id, Role.OPERATOR)
    for _ in range(2):
        await ada.deposit(900)
    transfer_id = (await ada.pay(ben, 1_500, prefer="wait=0")).json()["id"]
    await reaches(ada, transfer_id, "in_review")
    path = f"/v1/admin/transfers/{transfer_id}/decisions"
    assert (await staff.post(path, {"ruling": "reject", "reason": "no"})).status_code == 200
    await reaches(ada, transfer_id, "failed")
    assert answered(await retry(ada, transfer_id)) == (403, "ended_by_staff")
    again = await staff.post(f"/v1/admin/transfers/{transfer_id}/retry", {"reason": "an error"}, prefer="wait=0")
    assert (again.status_code, again.json()["attempt"]) == (202, 2)
    await reaches(ada, transfer_id, "in_review")


async def test_a_transfer_that_a_rule_ended_is_its_customers_to_try_again(ada: Person, ben: Person, book: Book) -> None:
    async with holding(book.database, AccountId(ben.account_id)) as held:
        transfer_id = (await ada.pay(ben, 100, prefer="wait=0")).json()["id"]
        await reaches(ada, transfer_id, "debited")
        await held.set_status(AccountStatus.FROZEN)
    await reaches(ada, transfer_id, "compensated")
    await set_account_status(book.database, AccountId(ben.account_id), AccountStatus.ACTIVE)
    assert answered(await retry(ada, transfer_id)) == (201, "completed")


async def test_a_sandbox_deposit_that_failed_makes_no_money_once_the_sandbox_is_off(
    settings: Settings, database: Database, ada: Person, admin: Person, book: Book
) -> None:
    await set_account_status(book.database, AccountId(ada.account_id), AccountStatus.FROZEN)
    path = f"/v1/accounts/{ada.account_id}/deposits"
    failed = (await ada.post(path, {"amount": 700, "currency": "USD"})).json()
    assert failed["state"] == "failed"
    await set_account_status(book.database, AccountId(ada.account_id), AccountStatus.ACTIVE)
    live = compose_api(settings.model_copy(update={"sandbox_rails": False}), database, with_worker=False)
    async with client_of(settings, live) as http:
        her, staff = (Person(http, who.id, who.account_id, who.token, who.email) for who in (ada, admin))
        assert answered(await retry(her, failed["id"])) == (403, "sandbox_rails_off")
        assert answered(await retry_as_staff(staff, failed["id"])) == (403, "sandbox_rails_off")
    assert await ada.balance() == 50_000
    assert answered(await retry(ada, failed["id"])) == (201, "completed")
    assert await ada.balance() == 50_700


async def test_a_movement_that_ended_without_success_leaves_its_transaction_id_free(
    ada: Person, ben: Person, book: Book
) -> None:
    await set_account_status(book.database, AccountId(ada.account_id), AccountStatus.FROZEN)
    path = f"/v1/accounts/{ada.account_id}/deposits"
    body = {"amount": 700, "currency": "USD", "transaction_id": "bank-1"}
    failed = (await ada.post(path, body, "a")).json()
    assert failed["state"] == "failed"
    await set_account_status(book.database, AccountId(ada.account_id), AccountStatus.ACTIVE)
    moved = await ada.post(path, body, "b")
    assert (answered(moved), moved.json()["id"] != failed["id"]) == ((201, "completed"), True)
    assert answered(await ada.post(path, body, "a")) == (201, "failed")
    assert answered(await retry(ada, failed["id"])) == (422, "transaction_id_reused")
    assert (await ada.post(path, body, "c")).json()["id"] == moved.json()["id"]
    assert answered(await ada.post(path, body | {"amount": 1}, "d")) == (422, "transaction_id_reused")
    assert await ada.balance() == 50_700


async def test_a_deposit_that_recovery_ended_is_abandoned_and_is_tried_again_or_made_anew(
    settings: Settings, database: Database, client: Client
) -> None:
    async with running_api(settings, database, worker=False) as http:
        ada = await register(http)
        path = f"/v1/accounts/{ada.account_id}/deposits"
        body = {"amount": 700, "currency": "USD", "transaction_id": "bank-1"}
        bodies = [body, body | {"transaction_id": "bank-2"}]
        lost = [(await ada.post(path, each, each["transaction_id"], prefer="wait=0")).json() for each in bodies]  # type: ignore[arg-type]
        for each in lost:
            await client.get_workflow_handle(each["workflow_id"]).terminate("by an operator")
    async with running_api(settings.model_copy(update={"recovery_grace_seconds": 0}), database) as http:
        ada = Person(http, ada.id, ada.account_id, ada.token, ada.email)
        swept = await client.execute_workflow(
            RecoveryWorkflow.run, id=f"recovery-{secrets.token_hex(6)}", task_queue=settings.task_queue
        )
        assert sorted(swept.abandoned) == sorted(each["id"] for each in lost)
        ended = (await ada.get(f"/v1/transfers/{lost[0]['id']}")).json()
        assert (ended["state"], ended["failure"]["code"]) == ("failed", "abandoned")
        assert answered(await retry(ada, lost[0]["id"])) == (201, "completed")
        anew = await ada.post(path, bodies[1], "another key")
        assert (answered(anew), anew.json()["id"] != lost[1]["id"]) == ((201, "completed"), True)
        assert await ada.balance() == 1_400


async def test_of_a_retry_and_another_key_at_once_one_movement_gets_the_transaction_id(
    ada: Person, ben: Person, book: Book
) -> None:
    path = f"/v1/accounts/{ada.account_id}/deposits"
    deposited = 0
    for number in range(5):
        body = {"amount": 700, "currency": "USD", "transaction_id": f"bank-{number}"}
        await set_account_status(book.database, AccountId(ada.account_id), AccountStatus.FROZEN)
        failed = (await ada.post(path, body)).json()
        await set_account_status(book.database, AccountId(ada.account_id), AccountStatus.ACTIVE)
        answers = await asyncio.gather(retry(ada, failed["id"]), ada.post(path, body))
        assert (201, "completed") in map(answered, answers)
        assert {answered(answer) for answer in answers} <= {(201, "completed"), (422, "transaction_id_reused")}
        deposited += 700
        assert await ada.balance() == 50_000 + deposited


async def test_a_retry_where_the_fingerprint_key_is_missing_is_in_doubt_and_may_be_repeated(
    settings: Settings, database: Database, ada: Person, ben: Person, operator: Person
) -> None:
    failed = (await ada.pay(ben, 60_000)).json()["id"]
    path = f"/v1/admin/transfers/{failed}/retry"
    other = settings.model_copy(update={"fingerprint_keys": SecretStr(NEXT_FINGERPRINT_KEY)})
    async with running_api(other, database, worker=False) as http:
        staff = Person(http, operator.id, operator.account_id, operator.token, operator.email)
        missing = await staff.post(path, {"reason": "ticket 4711"}, "k")
    assert answered(missing) == (503, "fingerprint_key_missing")
    assert missing.headers["Retry-After"]
    again = await operator.post(path, {"reason": "ticket 4711"}, "k")
    assert (again.status_code, again.json()["attempt"]) == (201, 2)
