"""A batch ends, whatever becomes of the single transfers, and says which of them it could not reach."""

import secrets
from typing import Any

from temporalio.client import Client

from customers.postgres import Customers
from database.connections import Database
from ledger.postgres.transfer_reads import TransferReads
from ledger.transfers import State
from reviews.review import BatchProgress, Decision, DecisionBatch, Ruling
from tests.orders import funded, holder, order, staff
from tests.waiting import until
from tests.workflows.sagas import UnreliableBook, sagas
from workflows.decision_batch import DecisionBatchWorkflow
from workflows.transfer.saga import TransferWorkflow


async def test_a_transfer_that_never_answers_is_named_and_the_others_take_the_decision(
    client: Client, database: Database, book: UnreliableBook, customers: Customers, transfer_reads: TransferReads
) -> None:
    payer, payee = await funded(customers, book, 20_000), await holder(customers)
    mute, gone, waiting = (order(payer.id, payer.account_id, payee.account_id, 2_500) for _ in range(3))
    nobody = await client.start_workflow(
        TransferWorkflow.run, mute, id=mute.workflow_id, task_queue=f"test-{secrets.token_hex(6)}"
    )
    async with sagas(client, book, review_from_major=20) as saga:
        handle = await saga.start(waiting)

        async def is_in_review() -> bool:
            transfer = await transfer_reads.visible(payer.id, waiting.transfer_id)
            return transfer is not None and transfer.state is State.IN_REVIEW

        await until(is_in_review, "the transfer is in review")
        decision = Decision(await staff(database), Ruling.APPROVE, "known customer")
        workflow_ids = [each.workflow_id for each in (mute, gone, waiting)]
        batch = await client.start_workflow(
            DecisionBatchWorkflow.run,
            DecisionBatch(decision, workflow_ids, patience_seconds=2),
            id=f"decisions/{secrets.token_hex(8)}",
            task_queue=saga.settings.task_queue,
        )
        ended: BatchProgress = await batch.result()
        shown: Any = await batch.query("__temporal_workflow_metadata")
        await nobody.terminate("nobody runs it")
        assert (await handle.result()).state is State.COMPLETED
    assert (ended.total, ended.taken) == (3, 1)
    assert [(each.workflow_id, each.why) for each in ended.refused] == [(gone.workflow_id, "The transfer has ended.")]
    assert [each.workflow_id for each in ended.unanswered] == [mute.workflow_id]
    assert ended.unanswered[0].why
    assert shown.current_details == (
        "1 of 3 have taken the decision, 1 refused it, 1 gave no answer."
        " Which ones, and why: the result, or the query `progress` until there is one."
    )


def test_the_summary_of_a_batch_says_what_is_decided_of_how_many_and_by_whom() -> None:
    decision = Decision("cus_1", Ruling.REJECT, "unknown")
    assert DecisionBatch(decision, ["transfer/1"]).summary == "Reject 1 transfer, decided by cus_1"
    assert DecisionBatch(decision, ["transfer/1", "transfer/2"]).summary == "Reject 2 transfers, decided by cus_1"
