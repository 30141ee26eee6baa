"""A request for a higher tier expires at its deadline, and a decision counts whatever its workflow does."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from temporalio.client import Client, WorkflowHandle
from temporalio.testing import WorkflowEnvironment

from customers.postgres import Customers
from database.connections import Database
from database.encryption import Encryption
from ledger.postgres.account_reads import AccountReads
from ledger.workflow_ids import tier_request_workflow_id
from tests.orders import FINGERPRINT_KEY, holder, staff
from tests.waiting import until
from tests.workflows.sagas import Sagas, UnreliableBook, details, sagas
from tiers.postgres.tier_requests import TierRequests
from tiers.tier_request import TierDecision, TierRequest, TierRequestState, TierRuling, TierTerms
from workflows.customers.tier_request import TierRequestWorkflow
from workflows.recovery import RecoveryWorkflow

Handle = WorkflowHandle[Any, TierRequestState]

KEYS = SecretStr(FINGERPRINT_KEY)
FORTNIGHT = 14 * 24 * 60 * 60


def requests_of(database: Database, deadline_seconds: int) -> TierRequests:
    terms = TierTerms(deadline_seconds, four_eyes_from_tier=3)
    return TierRequests(database, Encryption([FINGERPRINT_KEY]), terms, timedelta(0))


@pytest.fixture
def book(database: Database) -> UnreliableBook:
    return UnreliableBook(database)


async def started(saga: Sagas, request: TierRequest) -> Handle:
    return await saga.client.start_workflow(
        TierRequestWorkflow.run,
        request.id,
        id=tier_request_workflow_id(request.id),
        task_queue=saga.settings.task_queue,
    )


async def opened(requests: TierRequests, customers: Customers) -> TierRequest:
    ada = await holder(customers)
    found = await requests.open(ada.id, ada.account_id, 2, "BVN", "98765432109")
    assert found is not None
    return found


async def test_a_request_that_nobody_decides_expires_on_its_deadline(
    time_skipping: WorkflowEnvironment, book: UnreliableBook, database: Database, customers: Customers
) -> None:
    requests = requests_of(database, FORTNIGHT)
    request = await opened(requests, customers)
    began = await time_skipping.get_current_time()
    async with sagas(time_skipping.client, book, fingerprint_keys=KEYS) as saga:
        assert await (await started(saga, request)).result() is TierRequestState.EXPIRED
    assert await time_skipping.get_current_time() - began >= timedelta(days=13, hours=23)
    found, _ = await requests.find(request.id)
    assert (found.state, found.closed_reason) == (TierRequestState.EXPIRED, "Nobody decided in time.")


async def test_a_decision_whose_signal_is_lost_is_read_long_before_the_deadline(
    time_skipping: WorkflowEnvironment,
    book: UnreliableBook,
    database: Database,
    customers: Customers,
    account_reads: AccountReads,
) -> None:
    requests = requests_of(database, FORTNIGHT)
    request = await opened(requests, customers)
    async with sagas(time_skipping.client, book, fingerprint_keys=KEYS) as saga:
        handle = await started(saga, request)

        async def waits() -> bool:
            return "Open until" in await details(handle)

        await until(waits, "the workflow waits for a decision")
        await requests.decide(request.id, TierDecision(await staff(database), TierRuling.APPROVE, "Genuine"))
        assert await handle.result() is TierRequestState.APPROVED
    account = await account_reads.find(request.account_id)
    assert account is not None
    assert account.tier == 2


async def test_a_lost_workflow_of_a_request_is_started_again(
    client: Client, book: UnreliableBook, database: Database, customers: Customers
) -> None:
    requests = requests_of(database, FORTNIGHT)
    request = await opened(requests, customers)
    async with sagas(client, book, recovery_grace_seconds=0, fingerprint_keys=KEYS) as saga:
        sweep = await client.execute_workflow(
            RecoveryWorkflow.run, id=f"sweep-{request.id}", task_queue=saga.settings.task_queue
        )
        assert request.id in sweep.tier_requests
        handle: Handle = client.get_workflow_handle(tier_request_workflow_id(request.id), result_type=TierRequestState)
        await requests.decide(request.id, TierDecision(await staff(database), TierRuling.REJECT, "Not genuine"))
        await handle.signal(TierRequestWorkflow.look_again)
        assert await handle.result() is TierRequestState.REJECTED
