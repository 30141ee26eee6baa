"""Books that were restored, or failed over, to an earlier state while a transfer's workflow runs on."""

from collections.abc import AsyncIterator

import pytest
from temporalio.client import Client

from database.connections import Database
from ledger.postgres.account_reads import AccountReads
from ledger.postgres.transfer_reads import TransferReads
from ledger.transfers import State, TransferOrder
from reviews.review import Decision, Ruling
from tests.connections import Connection
from tests.orders import Holder, order, staff
from tests.waiting import until
from tests.workflows.sagas import Handle, Hold, Sagas, UnreliableBook, failed_tasks, line_breaks, local_steps, sagas

LOST = ("review_decisions", "review_reminders", "reviews", "entries", "postings", "keys")


@pytest.fixture
async def saga(client: Client, book: UnreliableBook) -> AsyncIterator[Sagas]:
    async with sagas(client, book, review_from_major=20) as running:
        yield running


@pytest.fixture
def small(alice: Holder, bob: Holder) -> TransferOrder:
    """15.00 from alice to bob, which nobody reviews."""
    return order(alice.id, alice.account_id, bob.account_id, 1_500)


@pytest.fixture
def large(alice: Holder, bob: Holder) -> TransferOrder:
    """25.00 from alice to bob: one reviewer decides."""
    return order(alice.id, alice.account_id, bob.account_id, 2_500)


@pytest.fixture
async def approve(database: Database) -> Decision:
    return Decision(await staff(database), Ruling.APPROVE, "known customer")


class Restore:
    """Brings the books back to the time when a payer's account was read, before the transfer that they pay."""

    def __init__(self, owner: Connection, payer: Holder) -> None:
        self._owner = owner
        self._payer = payer

    async def forget(self, lost: TransferOrder) -> None:
        """The transfer was never written."""
        async with self._owner.transaction():
            await self._lose(lost, *LOST)
            await self._owner.execute("DELETE FROM transfers WHERE id = $1", lost.transfer_id)

    async def rewind(self, lost: TransferOrder, state: State) -> None:
        """The transfer had not left this state, in which its money is with the payer."""
        tables = ("entries", "postings", "review_decisions")
        async with self._owner.transaction():
            await self._lose(lost, *tables if state is State.IN_REVIEW else ("reviews", *tables))
            await self._owner.execute("UPDATE transfers SET state = $2 WHERE id = $1", lost.transfer_id, state)

    async def _lose(self, lost: TransferOrder, *tables: str) -> None:
        await self._owner.execute("SET LOCAL session_replication_role = replica")
        await self._owner.execute(
            """
            UPDATE accounts SET balance_minor = last.balance_after, version = last.version, head_hash = last.hash,
                spent_on = NULL, spent_day_minor = 0, spent_month_minor = 0
            FROM entries last
            WHERE id = $1 AND last.account_id = id AND last.version = (
                SELECT max(version) FROM entries WHERE account_id = $1 AND transfer_id != $2
            )
            """,
            self._payer.account_id,
            lost.transfer_id,
        )
        for table in tables:
            await self._owner.execute(f"DELETE FROM {table} WHERE transfer_id = $1", lost.transfer_id)


@pytest.fixture
def restore(owner: Connection, alice: Holder) -> Restore:
    return Restore(owner, alice)


async def in_review(transfer_reads: TransferReads, wanted: TransferOrder) -> None:
    async def is_in_review() -> bool:
        transfer = await transfer_reads.visible(wanted.owner_id, wanted.transfer_id)
        return transfer is not None and transfer.state is State.IN_REVIEW

    await until(is_in_review, "the transfer is in review")


async def screenings(handle: Handle) -> int:
    return local_steps(await handle.fetch_history()).count("screen_transfer")


async def balance(account_reads: AccountReads, holder: Holder) -> int:
    account = await account_reads.own(holder.id, holder.account_id)
    assert account is not None
    return account.balance_minor


@pytest.mark.parametrize("state", [None, State.INITIATED])
async def test_a_transfer_whose_debit_is_lost_is_screened_and_debited_again(
    saga: Sagas,
    restore: Restore,
    account_reads: AccountReads,
    alice: Holder,
    bob: Holder,
    small: TransferOrder,
    state: State | None,
) -> None:
    hold = Hold()
    saga.book.before["credit"].append(hold)
    handle = await saga.start(small)
    await hold.reached.wait()
    await (restore.rewind(small, state) if state else restore.forget(small))
    hold.released.set()
    assert (await handle.result()).state is State.COMPLETED
    assert saga.book.calls == ["open", "debit", "credit", "open", "debit", "credit", "notify"]
    assert await screenings(handle) == 2
    assert await failed_tasks(handle) == 0
    assert await balance(account_reads, alice) == 8_500
    assert await balance(account_reads, bob) == 1_500


async def test_a_transfer_whose_debit_is_lost_ends_as_cancelled_if_somebody_cancels(
    saga: Sagas, restore: Restore, account_reads: AccountReads, alice: Holder, small: TransferOrder
) -> None:
    hold = Hold()
    saga.book.before["credit"] += [line_breaks, hold]
    handle = await saga.start(small)
    await hold.reached.wait()
    await restore.forget(small)
    await handle.cancel()
    assert (await handle.result()).state is State.CANCELLED
    hold.released.set()
    assert await failed_tasks(handle) == 0
    assert await balance(account_reads, alice) == 10_000


@pytest.mark.parametrize("state", [None, State.INITIATED, State.IN_REVIEW])
async def test_a_transfer_whose_approval_and_debit_are_lost_waits_for_another_approval(
    saga: Sagas,
    restore: Restore,
    transfer_reads: TransferReads,
    account_reads: AccountReads,
    alice: Holder,
    large: TransferOrder,
    approve: Decision,
    state: State | None,
) -> None:
    hold = Hold()
    saga.book.before["credit"].append(hold)
    handle = await saga.start(large)
    await in_review(transfer_reads, large)
    await handle.execute_update("decide", approve)
    await hold.reached.wait()
    await (restore.rewind(large, state) if state else restore.forget(large))
    hold.released.set()
    await in_review(transfer_reads, large)
    assert await balance(account_reads, alice) == 10_000
    await handle.execute_update("decide", approve)
    assert (await handle.result()).state is State.COMPLETED
    assert await failed_tasks(handle) == 0
    assert await balance(account_reads, alice) == 7_500


@pytest.mark.parametrize("state", [None, State.INITIATED])
async def test_a_transfer_whose_review_is_lost_is_reviewed_again_before_its_debit(
    saga: Sagas,
    restore: Restore,
    transfer_reads: TransferReads,
    large: TransferOrder,
    approve: Decision,
    state: State | None,
) -> None:
    handle = await saga.start(large)
    await in_review(transfer_reads, large)
    await (restore.rewind(large, state) if state else restore.forget(large))
    await handle.signal("review_changed")
    await in_review(transfer_reads, large)
    assert "debit" not in saga.book.calls
    await handle.execute_update("decide", approve)
    assert (await handle.result()).state is State.COMPLETED
    assert await screenings(handle) == 2
    assert await failed_tasks(handle) == 0


@pytest.mark.parametrize("state", [None, State.INITIATED])
async def test_a_transfer_whose_review_is_lost_is_reminded_of_and_expires_on_its_new_deadline(
    client: Client,
    book: UnreliableBook,
    restore: Restore,
    transfer_reads: TransferReads,
    large: TransferOrder,
    state: State | None,
) -> None:
    async with sagas(client, book, review_from_major=20, review_deadline_seconds=4, review_reminder_seconds=2) as saga:
        handle = await saga.start(large)
        await in_review(transfer_reads, large)
        await (restore.rewind(large, state) if state else restore.forget(large))
        ended = await handle.result()
    assert (ended.state, ended.failure and ended.failure.code) == (State.FAILED, "review_expired")
    assert "debit" not in book.calls
    assert await failed_tasks(handle) == 0
