"""A workflow ends only after every update that it accepted has its answer, whatever else happens to it."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
import pytest
from temporalio.client import Client, WorkflowUpdateFailedError

from database.connections import Database
from ledger.postgres.transfer_reads import TransferReads
from ledger.transfers import State, Step
from reviews.postgres import Reviews
from reviews.review import Decision, Ruling
from tests.orders import Holder, order, staff
from tests.waiting import until
from tests.workflows.sagas import Handle, Sagas, UnreliableBook, sagas


@pytest.fixture
async def saga(client: Client, book: UnreliableBook) -> AsyncIterator[Sagas]:
    async with sagas(client, book, review_from_major=20) as running:
        yield running


async def is_accepted(handle: Handle) -> bool:
    return "workflowExecutionUpdateAccepted" in (await handle.fetch_history()).to_json()


async def test_a_decision_that_meets_a_rejection_and_a_cancellation_is_answered(
    saga: Sagas, transfer_reads: TransferReads, database: Database, database_url: str, alice: Holder, bob: Holder
) -> None:
    wanted = order(alice.id, alice.account_id, bob.account_id, 2_500)
    slow = Decision(await staff(database), Ruling.APPROVE, "known customer")
    handle = await saga.start(wanted)

    async def is_in_review() -> bool:
        found = await transfer_reads.visible(wanted.owner_id, wanted.transfer_id)
        return found is not None and found.state is State.IN_REVIEW

    await until(is_in_review, "the transfer is in review")
    connection = await asyncpg.connect(database_url)
    try:
        async with connection.transaction():
            await connection.execute("SELECT FROM customers WHERE id = $1 FOR UPDATE", slow.decider)
            deciding = asyncio.create_task(handle.execute_update("decide", slow, result_type=str))
            await until(lambda: is_accepted(handle), "the decision is accepted and waits to be recorded")
            other = Decision(await staff(database), Ruling.REJECT, "asks to be paid twice")
            await Reviews(database, timedelta()).decide(Step(wanted.transfer_id, 1), other)
            await handle.signal("review_changed")

            async def has_failed() -> bool:
                found = await transfer_reads.visible(wanted.owner_id, wanted.transfer_id)
                return found is not None and found.state is State.FAILED

            await until(has_failed, "the transfer has failed, and its workflow waits for the update")
            await handle.cancel()
            await asyncio.wait({deciding}, timeout=0.5)
            assert not deciding.done(), deciding.exception()
    finally:
        await connection.close()
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await deciding
    assert getattr(refused.value.cause, "type", None) == "too_late"
    assert (await handle.result()).state is State.FAILED
