"""Write access to Temporal alone orders no payment, and an edited row redirects none: on a real server."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import ApplicationError

from ledger.ids import CustomerId, transfer_id_for
from ledger.postgres.account_reads import AccountReads
from ledger.transfers import Ending, State, Step, TransferOrder
from ledger.workflow_ids import transfer_workflow_id
from tests.connections import Connection
from tests.orders import Holder, order
from tests.waiting import until
from tests.workflows.sagas import Handle, Hold, Sagas, UnreliableBook, line_breaks, sagas
from tests.workflows.test_recovery import balances
from workflows.search_attributes import NEEDS_ATTENTION


@pytest.fixture
async def saga(client: Client, book: UnreliableBook) -> AsyncIterator[Sagas]:
    async with sagas(client, book, stuck_after_seconds=1) as running:
        yield running


@pytest.fixture
def wanted(alice: Holder, bob: Holder) -> TransferOrder:
    return order(alice.id, alice.account_id, bob.account_id, 2_500)


async def failure_of(handle: Handle) -> str | None:
    with pytest.raises(WorkflowFailureError) as failed:
        await handle.result()
    assert isinstance(failed.value.cause, ApplicationError)
    return failed.value.cause.type


def forged_by(wanted: TransferOrder, owner_id: CustomerId) -> TransferOrder:
    """An order of another key, with a fingerprint that somebody has read in Temporal."""
    key = "forged"
    return replace(
        wanted,
        transfer_id=transfer_id_for(owner_id, key),
        idempotency_key=key,
        workflow_id=transfer_workflow_id(owner_id, key),
    )


async def test_a_workflow_that_somebody_starts_with_an_order_of_their_own_moves_no_money(
    saga: Sagas, account_reads: AccountReads, alice: Holder, bob: Holder, wanted: TransferOrder
) -> None:
    await saga.run(wanted)
    for forged in (
        forged_by(wanted, alice.id),
        replace(wanted, amount_minor=5_000, workflow_id="transfer/larger"),
        replace(wanted, destination_account_id=alice.account_id, workflow_id="transfer/elsewhere"),
    ):
        assert await failure_of(await saga.start(forged)) == "OrderForged"
    assert await balances(account_reads, alice, bob) == [7_500, 2_500]


async def test_a_workflow_that_somebody_starts_for_another_attempt_moves_no_money(
    saga: Sagas, account_reads: AccountReads, alice: Holder, bob: Holder, wanted: TransferOrder
) -> None:
    await saga.book.open_transfer(wanted)
    await saga.book.end(Ending(Step(wanted.transfer_id, 1)), State.FAILED)
    again = replace(wanted, attempt=2, workflow_id=f"{wanted.workflow_id} #2")
    assert await failure_of(await saga.start(again)) == "OrderForged"
    assert await balances(account_reads, alice, bob) == [10_000, 0]


async def test_money_in_transit_that_was_redirected_waits_for_a_person_and_arrives_once_its_row_is_restored(
    saga: Sagas,
    account_reads: AccountReads,
    owner: Connection,
    alice: Holder,
    bob: Holder,
    wanted: TransferOrder,
) -> None:
    hold = Hold()
    saga.book.before["credit"] += [line_breaks, hold]
    handle = await saga.start(wanted)
    await hold.reached.wait()
    await owner.execute("SET session_replication_role = replica")
    redirect = "UPDATE transfers SET destination_account_id = $2 WHERE id = $1"
    await owner.execute(redirect, wanted.transfer_id, alice.account_id)
    saga.book.forget_rows()  # as if another process, or a restarted one, took the step
    hold.released.set()

    async def is_flagged() -> bool:
        return (await handle.describe()).typed_search_attributes.get(NEEDS_ATTENTION) is True

    await until(is_flagged, "the step needs attention")
    (pending,) = (await handle.describe()).raw_description.pending_activities
    assert "is not as it was accepted" in pending.last_failure.message
    assert await balances(account_reads, alice, bob) == [7_500, 0]
    await owner.execute(redirect, wanted.transfer_id, bob.account_id)
    assert (await handle.result()).state is State.COMPLETED
    assert await balances(account_reads, alice, bob) == [7_500, 2_500]
