"""One key, used at the same moment in two API processes: one request gets it, the other moves nothing."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from pydantic import SecretStr
from temporalio.client import Client

from api.http.problems import Problem
from api.temporal import StartedOrder, TemporalGateway
from api.transfers.acceptance import Acceptance
from api.transfers.completion import Completions
from customers.postgres import Customers
from database.connections import Database
from ledger.fingerprints import Fingerprints
from ledger.postgres.audit import audit
from ledger.postgres.book import Book
from ledger.postgres.transfer_reads import TransferReads
from ledger.transfers import Ending, Standing, State, Step
from settings import Settings
from staff.postgres.reversal_record import record_reversal
from tests.api.people import Person, running_api
from tests.orders import FINGERPRINT_KEY, NEXT_FINGERPRINT_KEY, funded, holder, later_attempt, order

TRIES = 15


@pytest.fixture
async def elsewhere(settings: Settings, database: Database, ada: Person) -> AsyncIterator[Person]:
    """Ada, at another API process."""
    async with running_api(settings, database) as http:
        yield Person(http, ada.id, ada.account_id, ada.token, ada.email)


async def test_a_key_used_at_once_for_a_transfer_and_a_repeated_transaction_id_names_one_of_them(
    ada: Person, elsewhere: Person, ben: Person
) -> None:
    path = f"/v1/accounts/{ada.account_id}/deposits"
    repeated = {"amount": 700, "currency": "USD", "transaction_id": "bank-1"}
    assert (await ada.post(path, repeated)).status_code == 201
    transfers = 0
    for number in range(TRIES):
        key = f"key {number}"

        async def both(key: str) -> list[httpx.Response]:
            return list(await asyncio.gather(ada.pay(ben, 10, key), elsewhere.post(path, repeated, key)))

        answers = await both(key)
        found = [(answer.status_code, answer.json().get("code")) for answer in answers]
        assert sorted(found, key=str) == [(201, None), (422, "idempotency_key_reused")], found
        transfers += answers[0].status_code == 201
        assert await ben.balance() == 10 * transfers
        assert [answer.status_code for answer in await both(key)] == [answer.status_code for answer in answers]
    assert await ada.balance() == 50_700 - 10 * transfers
    assert await ben.balance() == 10 * transfers


async def test_a_request_that_lost_its_transaction_id_leaves_its_key_free(
    ada: Person, elsewhere: Person, ben: Person
) -> None:
    path = f"/v1/accounts/{ada.account_id}/deposits"
    refused: list[str] = []
    deposited = 0
    for number in range(TRIES):
        requests = [
            (f"{number}/{i}", {"amount": 100 + i, "currency": "USD", "transaction_id": f"bank-{number}"})
            for i in range(2)
        ]
        people = (ada, elsewhere)
        answers = await asyncio.gather(
            *(person.post(path, body, key) for person, (key, body) in zip(people, requests, strict=True))
        )
        found = [(answer.status_code, answer.json().get("code")) for answer in answers]
        assert sorted(found, key=str) == [(201, None), (422, "transaction_id_reused")], found
        for answer, (key, _) in zip(answers, requests, strict=True):
            if answer.status_code == 422:
                refused.append(key)
            else:
                deposited += answer.json()["amount"]
        corrected = await elsewhere.pay(ben, 10, refused[-1])
        assert (corrected.status_code, corrected.json()["state"]) == (201, "completed"), corrected.text
        assert (await ada.pay(ben, 10, refused[-1])).json()["id"] == corrected.json()["id"]
        assert (await ada.pay(ben, 11, refused[-1])).json()["code"] == "idempotency_key_reused"
    assert await ada.balance() == 50_000 + deposited - 10 * TRIES
    assert await ben.balance() == 10 * TRIES


async def test_of_equal_requests_behind_a_refused_one_a_single_transfer_begins(
    ada: Person, elsewhere: Person, ben: Person
) -> None:
    path = f"/v1/accounts/{ada.account_id}/deposits"
    bodies = [{"amount": amount, "currency": "USD", "transaction_id": "bank-1"} for amount in (100, 200)]
    raced = await asyncio.gather(ada.post(path, bodies[0], "a"), elsewhere.post(path, bodies[1], "b"))
    key = "a" if raced[0].status_code == 422 else "b"
    answers = await asyncio.gather(*(person.pay(ben, 10, key) for person in (ada, elsewhere) * 5))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert await ben.balance() == 10


class ForgetfulGateway(TemporalGateway):
    """Its first question about a workflow comes after Temporal deleted it and before a request starts it again."""

    was_deleted = False

    async def started(self, workflow_id: str) -> StartedOrder | None:
        if not self.was_deleted:
            self.was_deleted = True
            return None
        return await super().started(workflow_id)


async def test_another_request_that_starts_after_a_deleted_workflow_is_not_taken_for_an_equal_one(
    settings: Settings,
    client: Client,
    book: Book,
    customers: Customers,
    transfer_reads: TransferReads,
) -> None:
    async def connect() -> Client:
        return client

    payer, payee = await funded(customers, book, 1_000), await holder(customers)
    other, wanted = (order(payer.id, payer.account_id, payee.account_id, amount, key="rent") for amount in (10, 11))
    gateway = ForgetfulGateway(connect, settings.task_queue, client)
    assert await gateway.start(other)
    await client.get_workflow_handle(other.workflow_id).terminate("its transaction_id was taken")
    acceptance = Acceptance(gateway, transfer_reads, book, Completions(worker_is_here=False))
    accepted = await acceptance.accept(wanted, wait_seconds=0)
    started = await gateway.started(wanted.workflow_id)
    assert started == StartedOrder(wanted.fingerprint, is_running=True)
    assert not accepted.replayed


async def test_an_order_whose_workflow_ended_without_opening_it_is_carried_out_by_the_next_equal_request(
    settings: Settings,
    client: Client,
    book: Book,
    customers: Customers,
    transfer_reads: TransferReads,
) -> None:
    async def connect() -> Client:
        return client

    payer, payee = await funded(customers, book, 1_000), await holder(customers)
    wanted = order(payer.id, payer.account_id, payee.account_id, 10, key="rent")
    gateway = TemporalGateway(connect, settings.task_queue, client)
    assert await gateway.start(wanted)
    await client.get_workflow_handle(wanted.workflow_id).terminate("as if its transaction_id was taken")
    acceptance = Acceptance(gateway, transfer_reads, book, Completions(worker_is_here=False))
    objection = Problem("sandbox_rails_off")
    with pytest.raises(Problem) as refused:
        await acceptance.accept(wanted, wait_seconds=0, foreseen=objection)
    assert refused.value is objection
    assert not (await acceptance.accept(wanted, wait_seconds=0)).replayed
    assert await gateway.started(wanted.workflow_id) == StartedOrder(wanted.fingerprint, is_running=True)


async def test_an_attempt_whose_workflow_ended_without_beginning_it_is_begun_by_the_next_retry(
    settings: Settings,
    client: Client,
    book: Book,
    customers: Customers,
    transfer_reads: TransferReads,
) -> None:
    async def connect() -> Client:
        return client

    payer, payee = await funded(customers, book, 1_000), await holder(customers)
    wanted = order(payer.id, payer.account_id, payee.account_id, 10, key="rent")
    await book.open_transfer(wanted)
    await book.end(Ending(Step(wanted.transfer_id, 1)), State.FAILED)
    again = later_attempt(wanted, 2)
    gateway = TemporalGateway(connect, settings.task_queue, client)
    assert await gateway.start(again)
    await client.get_workflow_handle(again.workflow_id).terminate("as if its transaction_id was taken")
    failed = await transfer_reads.visible(payer.id, wanted.transfer_id)
    assert failed is not None
    acceptance = Acceptance(gateway, transfer_reads, book, Completions(worker_is_here=False))
    assert (await acceptance.retry(failed, wait_seconds=0)).attempt == 2
    started = await gateway.started(again.workflow_id)
    assert started is not None
    assert started.is_running


async def test_a_repeat_after_the_fingerprint_key_was_rotated_is_the_first_transfer(
    settings: Settings, database: Database, ada: Person, ben: Person
) -> None:
    first = (await ada.pay(ben, 10, "rent")).json()
    keys = SecretStr(f"{NEXT_FINGERPRINT_KEY},{FINGERPRINT_KEY}")
    # A task queue of its own: the worker that made the first transfer does not have the new key.
    changes = {"fingerprint_keys": keys, "task_queue": f"{settings.task_queue}-rotated"}
    async with running_api(settings.model_copy(update=changes), database) as http:
        her = Person(http, ada.id, ada.account_id, ada.token, ada.email)
        again = await her.pay(ben, 10, "rent")
        assert (again.json(), again.headers["Idempotent-Replayed"]) == (first, "true")
        assert (await her.pay(ben, 11, "rent")).json()["code"] == "idempotency_key_reused"
        assert (await her.pay(ben, 10, "food")).json()["state"] == "completed"
    assert await ben.balance() == 20


async def test_a_repeat_under_a_rotated_fingerprint_key_joins_a_workflow_that_has_no_row_yet(
    settings: Settings,
    client: Client,
    database: Database,
    customers: Customers,
    book: Book,
    transfer_reads: TransferReads,
) -> None:
    async def connect() -> Client:
        return client

    payer, payee = await funded(customers, book, 1_000), await holder(customers)
    wanted = order(payer.id, payer.account_id, payee.account_id, 10, key="rent")
    gateway = TemporalGateway(connect, settings.task_queue, client)
    assert await gateway.start(wanted)
    rotated = Book(database, Fingerprints([NEXT_FINGERPRINT_KEY, FINGERPRINT_KEY]), record_reversal)
    acceptance = Acceptance(gateway, transfer_reads, rotated, Completions(worker_is_here=False))
    accepted = await acceptance.accept(wanted, wait_seconds=0)
    assert (accepted.transfer.id, accepted.replayed) == (wanted.transfer_id, True)
    assert accepted.transfer.order.fingerprint == rotated.fingerprints.signed(wanted).fingerprint
    keys = SecretStr(f"{FINGERPRINT_KEY},{NEXT_FINGERPRINT_KEY}")
    async with running_api(settings.model_copy(update={"fingerprint_keys": keys}), database):
        ended = await client.get_workflow_handle(wanted.workflow_id, result_type=Standing).result()
    assert ended.state is State.COMPLETED
    assert (await audit(database, rotated.fingerprints)).clean
