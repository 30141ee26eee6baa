"""A transfer in review, and its reviewers."""

import pytest
from temporalio.client import WorkflowUpdateFailedError

from ledger.postgres.transfer_reads import TransferReads
from ledger.transfers import State, TransferOrder
from reviews.review import Decision
from tests.waiting import until
from tests.workflows.sagas import Handle


async def in_review(transfer_reads: TransferReads, wanted: TransferOrder) -> None:
    async def is_in_review() -> bool:
        transfer = await transfer_reads.visible(wanted.owner_id, wanted.transfer_id)
        return transfer is not None and transfer.state is State.IN_REVIEW

    await until(is_in_review, "the transfer is in review")


async def decide(handle: Handle, decision: Decision) -> str:
    answer: str = await handle.execute_update("decide", decision, result_type=str)
    return answer


async def state_of(transfer_reads: TransferReads, wanted: TransferOrder) -> State:
    transfer = await transfer_reads.visible(wanted.owner_id, wanted.transfer_id)
    assert transfer is not None
    return transfer.state


async def refused(handle: Handle, update: str, argument: object) -> str:
    with pytest.raises(WorkflowUpdateFailedError) as error:
        await handle.execute_update(update, argument)
    return str(error.value.cause)
