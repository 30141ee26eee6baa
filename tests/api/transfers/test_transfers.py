"""Moving money over HTTP: what is answered, and that it happens once."""

import asyncio
import secrets
from typing import Any

import httpx
import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from api_services import compose_api
from database.connections import Database
from devenv.demo.postgres import holding
from ledger.accounts import AccountStatus
from ledger.ids import AccountId
from ledger.postgres.book import Book
from settings import Settings
from tests.api.people import Person, client_of, register, running_api
from tests.waiting import until


async def test_a_transfer_is_answered_when_it_is_final_and_can_be_read_back(ada: Person, ben: Person) -> None:
    answer = await ada.pay(ben, 12_550, note="Rent, November")
    assert answer.status_code == 201
    transfer = answer.json()
    assert transfer["state"] == "completed"
    assert transfer["note"] == "Rent, November"
    assert answer.headers["Location"] == f"/v1/transfers/{transfer['id']}"
    assert "Idempotent-Replayed" not in answer.headers
    assert (await ada.get(answer.headers["Location"])).json() == transfer
    assert [await ada.balance(), await ben.balance()] == [37_450, 12_550]


async def test_fifty_equal_requests_at_once_make_one_transfer_and_fifty_equal_answers(ada: Person, ben: Person) -> None:
    key = secrets.token_hex(16)
    answers = await asyncio.gather(*(ada.pay(ben, 100, key) for _ in range(50)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    assert [answer.headers.get("Idempotent-Replayed") for answer in answers].count(None) == 1
    assert [await ada.balance(), await ben.balance()] == [49_900, 100]


async def test_fifty_different_requests_with_one_key_at_once_make_one_transfer(ada: Person, ben: Person) -> None:
    key = secrets.token_hex(16)
    answers = await asyncio.gather(*(ada.pay(ben, 100 + n, key) for n in range(50)))
    (accepted,) = [answer.json() for answer in answers if answer.status_code == 201]
    refused = [answer.json()["code"] for answer in answers if answer.status_code == 422]
    assert refused == ["idempotency_key_reused"] * 49
    assert await ben.balance() == accepted["amount"]


async def test_a_key_means_the_same_transfer_also_after_temporal_has_forgotten_it(
    ada: Person, ben: Person, client: Client
) -> None:
    key = secrets.token_hex(16)
    first = await ada.pay(ben, 100, key)
    workflow_id = first.json()["workflow_id"]
    await client.workflow_service.delete_workflow_execution(
        DeleteWorkflowExecutionRequest(
            namespace=client.namespace, workflow_execution=WorkflowExecution(workflow_id=workflow_id)
        )
    )

    async def is_forgotten() -> bool:
        try:
            await client.get_workflow_handle(workflow_id).describe()
        except RPCError as error:
            return error.status is RPCStatusCode.NOT_FOUND
        return False

    await until(is_forgotten, "Temporal forgets the workflow", 90)
    again = await ada.pay(ben, 100, key)
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["Idempotent-Replayed"] == "true"
    other = await ada.pay(ben, 101, key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert await ben.balance() == 100


async def test_a_quoted_key_is_the_same_key(ada: Person, ben: Person) -> None:
    key = secrets.token_hex(16)
    first, again = await ada.pay(ben, 100, key), await ada.pay(ben, 100, f'"{key}"')
    assert first.json()["id"] == again.json()["id"]


async def test_two_customers_may_use_the_same_key(ada: Person, ben: Person) -> None:
    key = secrets.token_hex(16)
    assert (await ada.pay(ben, 500, key)).status_code == 201
    assert (await ben.pay(ada, 200, key)).status_code == 201
    assert await ben.balance() == 300


async def test_keys_that_look_like_attempts_are_transfers_of_their_own(ada: Person, ben: Person) -> None:
    key = secrets.token_hex(16)
    long = f"{key}{'#' * 200}"
    keys = [key, f"{key} #2", f"{key}%23", f"{key}/~ !", long, f"{long}!", "k" * 255, f"{'k' * 254}l"]
    answers = [await ada.pay(ben, 100, k) for k in keys]
    assert {answer.json()["state"] for answer in answers} == {"completed"}
    ids = {answer.json()["workflow_id"] for answer in answers}
    assert len(ids) == len(keys)
    assert max(len(f"{workflow_id} #2") for workflow_id in ids) <= 255
    as_a_key = next(workflow_id for workflow_id in ids if "%~" in workflow_id).split("/", 2)[2]
    assert (await ada.pay(ben, 100, as_a_key)).json()["workflow_id"] not in ids
    assert await ben.balance() == 100 * (len(keys) + 1)


async def test_a_refusal_is_an_outcome_with_its_reason(ada: Person, ben: Person) -> None:
    answer = await ada.pay(ben, 50_001)
    assert answer.status_code == 201
    assert answer.json()["state"] == "failed"
    assert answer.json()["failure"] == {
        "code": "insufficient_funds",
        "message": "The source account is short by $0.01.",
    }
    assert [await ada.balance(), await ben.balance()] == [50_000, 0]


async def test_a_large_transfer_is_declined_by_screening_from_the_threshold_of_the_settings_on(
    settings: Settings, database: Database
) -> None:
    async with running_api(settings.model_copy(update={"decline_from_major": 100}), database) as http:
        ada, ben = await register(http), await register(http)
        for _ in range(2):
            await ada.deposit(9_999)
        answer = await ada.pay(ben, 10_000)
    assert (answer.json()["state"], answer.json()["failure"]["code"]) == ("failed", "fraud_declined")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"destination_account_id": "acc_aaaaaaaaaaaaaaaaaaaaaaaaaa"}, "account_not_found"),
        ({"currency": "EUR"}, "currency_mismatch"),
    ],
)
async def test_a_transfer_that_the_ledger_refuses_uses_up_its_key(
    ada: Person, ben: Person, changes: dict[str, Any], code: str
) -> None:
    key = secrets.token_hex(16)
    answer = await ada.pay(ben, 100, key, **changes)
    assert (answer.status_code, answer.json()["failure"]["code"]) == (201, code)
    assert (await ada.pay(ben, 100, key)).json()["code"] == "idempotency_key_reused"


async def test_money_to_an_account_frozen_on_the_way_comes_back_and_both_statements_tell_it(
    ada: Person, ben: Person, book: Book
) -> None:
    async with holding(book.database, AccountId(ben.account_id)) as held:
        accepted = await ada.pay(ben, 12_550, prefer="wait=0")
        assert accepted.status_code == 202
        path = accepted.headers["Location"]

        async def is_debited() -> bool:
            return bool((await ada.get(path)).json()["state"] == "debited")

        await until(is_debited, "the transfer is debited")
        await held.set_status(AccountStatus.FROZEN)

    async def is_final() -> bool:
        return (await ada.get(path)).json()["completed_at"] is not None

    await until(is_final, "the transfer is final")
    ended = (await ada.get(path)).json()
    assert (ended["state"], ended["failure"]["code"]) == ("compensated", "account_frozen")
    lines = (await ada.get(f"/v1/accounts/{ada.account_id}/entries", limit=2)).json()["items"]
    assert [(line["leg"], line["amount"], line["balance_after"]) for line in lines] == [
        ("refund", 12_550, 50_000),
        ("debit", -12_550, 37_450),
    ]
    assert (await ben.get(f"/v1/accounts/{ben.account_id}/entries")).json()["items"] == []
    assert (await ben.get(path)).status_code == 404


async def test_without_a_worker_a_transfer_is_accepted_and_readable_at_once(
    settings: Settings, database: Database, client: Client
) -> None:
    async with running_api(settings, database) as http:
        ada, ben = await register(http), await register(http)
        await ada.deposit(50_000)
    idle = settings.model_copy(update={"task_queue": f"{settings.task_queue}-without-worker"})
    async with running_api(idle, database, worker=False) as http:
        ada.http = ben.http = http
        key = secrets.token_hex(16)
        accepted = await ada.pay(ben, 100, key, prefer="wait=1")
        assert (accepted.status_code, accepted.json()["state"]) == (202, "initiated")
        assert (await ada.get(accepted.headers["Location"])).json() == accepted.json()
        again = await ada.pay(ben, 100, key, prefer="wait=0")
        assert (again.status_code, again.json()) == (202, accepted.json())
        assert again.headers["Idempotent-Replayed"] == "true"
        assert (await ada.pay(ben, 101, key, prefer="wait=0")).json()["code"] == "idempotency_key_reused"
        async with running_api(idle, database, worker=True):

            async def is_completed() -> bool:
                return bool((await ada.get(accepted.headers["Location"])).json()["state"] == "completed")

            await until(is_completed, "the transfer that waited for a worker completes")


async def test_a_transaction_id_moves_money_once_whatever_the_key(ada: Person) -> None:
    path = f"/v1/accounts/{ada.account_id}/deposits"
    body = {"amount": 700, "currency": "USD", "transaction_id": "bank-1"}
    answers = await asyncio.gather(*(ada.post(path, body) for _ in range(10)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert [answer.headers.get("Idempotent-Replayed") for answer in answers].count(None) == 1
    assert await ada.balance() == 50_700
    for changes in ({"amount": 701}, {"currency": "EUR"}):
        assert (await ada.post(path, body | changes)).json()["code"] == "transaction_id_reused"
    other_way = await ada.post(f"/v1/accounts/{ada.account_id}/withdrawals", body)
    assert other_way.json()["code"] == "transaction_id_reused"
    assert await ada.balance() == 50_700


async def test_a_withdrawal_leaves_the_account_and_can_be_refused(ada: Person) -> None:
    path = f"/v1/accounts/{ada.account_id}/withdrawals"
    out = await ada.post(path, {"amount": 20_000, "currency": "USD"})
    assert (out.json()["state"], out.json()["destination_account_id"]) == ("completed", "world")
    too_much = await ada.post(path, {"amount": 30_001, "currency": "USD"})
    assert too_much.json()["failure"]["code"] == "insufficient_funds"
    assert await ada.balance() == 30_000


async def test_pages_of_transfers_and_entries_hold_everything_once(ada: Person, ben: Person) -> None:
    for amount in range(1, 8):
        await ada.pay(ben, amount)
    for path in ("/v1/transfers", f"/v1/accounts/{ben.account_id}/entries"):
        seen: list[int] = []
        query: dict[str, object] = {"limit": 3}
        while True:
            page = (await ben.get(path, **query)).json()
            seen += [item["amount"] for item in page["items"]]
            assert len(page["items"]) <= 3
            if page["next_cursor"] is None:
                break
            query["cursor"] = page["next_cursor"]
        assert seen == [7, 6, 5, 4, 3, 2, 1]


async def test_transfers_are_listed_by_account_and_state(ada: Person, ben: Person) -> None:
    await ada.pay(ben, 1)
    await ada.pay(ben, 99_999)
    failed = (await ada.get("/v1/transfers", state="failed")).json()["items"]
    assert [item["amount"] for item in failed] == [99_999]
    assert (await ada.get("/v1/transfers", account_id=ben.account_id)).status_code == 404
    assert len((await ada.get("/v1/transfers", account_id=ada.account_id)).json()["items"]) == 3


async def test_a_payee_sees_what_arrived_and_not_how_it_was_asked_for(ada: Person, ben: Person) -> None:
    paid, failed = (await ada.pay(ben, 100)).json(), (await ada.pay(ben, 99_999)).json()
    assert (await ben.get(f"/v1/transfers/{paid['id']}")).json() == paid | {"workflow_id": None}
    assert (await ben.get(f"/v1/transfers/{failed['id']}")).status_code == 404


async def test_a_receipt_names_the_postings(ada: Person, ben: Person) -> None:
    transfer = (await ada.pay(ben, 125_50)).json()
    receipt = (await ben.get(f"/v1/transfers/{transfer['id']}/receipt")).json()
    assert receipt["amount_text"] == "$125.50"
    assert [(posting["leg"], posting["amount"]) for posting in receipt["postings"]] == [
        ("debit", 12_550),
        ("credit", 12_550),
    ]


async def test_deposits_are_the_services_own_where_the_sandbox_rail_is_off(
    settings: Settings, database: Database
) -> None:
    live = compose_api(settings.model_copy(update={"sandbox_rails": False}), database, with_worker=False)
    async with client_of(settings, live) as http:
        person = await register(http)
        body = {"amount": 1, "currency": "USD"}
        for rail in ("deposits", "withdrawals"):
            answer = await person.post(f"/v1/accounts/{person.account_id}/{rail}", body)
            assert (answer.status_code, answer.json()["code"]) == (403, "sandbox_rails_off")


async def test_opposite_transfers_at_once_all_complete(ada: Person, ben: Person) -> None:
    await ben.deposit(50_000)

    outcomes = await asyncio.gather(*(payer.paid(payee, 10) for payer, payee in [(ada, ben), (ben, ada)] * 15))
    assert {each["state"] for each in outcomes} == {"completed"}
    assert [await ada.balance(), await ben.balance()] == [50_000, 50_000]


async def test_a_held_account_holds_up_nobody_else(
    http: httpx.AsyncClient, ada: Person, ben: Person, book: Book
) -> None:
    cleo = await register(http)
    await cleo.deposit(1_000)
    async with holding(book.database, AccountId(ada.account_id)):
        held = [asyncio.create_task(ada.accepted(ben, 1)) for _ in range(30)]
        for _ in range(5):
            assert (await cleo.paid(ben, 10))["state"] == "completed"
            assert await cleo.balance() >= 0
        assert {(await answer).status_code for answer in held} == {202}

    async def all_arrived() -> bool:
        return await ben.balance() == 80

    await until(all_arrived, "what was held up arrives afterwards", 60)


async def test_a_key_that_was_answered_with_another_keys_transfer_is_used(ada: Person) -> None:
    path = f"/v1/accounts/{ada.account_id}/deposits"
    body = {"amount": 700, "currency": "USD", "transaction_id": "bank-1"}
    first = (await ada.post(path, body, "first")).json()
    for _ in range(2):
        again = await ada.post(path, body, "second")
        assert (again.status_code, again.json()) == (201, first)
        assert again.headers["Idempotent-Replayed"] == "true"
    for changes in ({"amount": 900, "transaction_id": None}, {"transaction_id": "bank-2"}):
        other = await ada.post(path, body | changes, "second")
        assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert await ada.balance() == 50_700
