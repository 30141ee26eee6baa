"""Steps without an answer: they raise a flag, take requests of staff, and recover without anyone."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
from temporalio.client import Client, WorkflowUpdateFailedError

from database.connections import Database
from ledger.postgres.account_reads import AccountReads
from ledger.transfers import State, TransferOrder
from staff.update_input import StaffRequest
from tests.connections import Connection
from tests.orders import Holder, order, staff
from tests.waiting import until
from tests.workflows.sagas import Fault, Handle, Hold, Sagas, UnreliableBook, details, line_breaks, sagas
from workflows.search_attributes import NEEDS_ATTENTION, TRANSFER_STATE

_REQUESTS = """
    SELECT a.action, a.actor_id, a.reason, a.before ->> 'state'
    FROM staff_actions a JOIN staff_action_outcomes o ON o.action_id = a.id
    WHERE a.channel = 'temporal' AND o.outcome = 'taken'
"""


@pytest.fixture
async def saga(client: Client, book: UnreliableBook) -> AsyncIterator[Sagas]:
    async with sagas(client, book, stuck_after_seconds=1) as running:
        yield running


@pytest.fixture
async def ask(database: Database) -> StaffRequest:
    return StaffRequest(await staff(database), "the database is back")


@pytest.fixture
def wanted(alice: Holder, bob: Holder) -> TransferOrder:
    return order(alice.id, alice.account_id, bob.account_id, 2_500)


class Outage:
    """A fault: no answer, until it is over."""

    def __init__(self, steps: list[Fault]) -> None:
        self.over = False
        self._steps = steps
        steps.append(self)

    async def __call__(self) -> None:
        if not self.over:
            self._steps.insert(0, self)
            await line_breaks()


async def is_flagged(handle: Handle, *, stuck: bool) -> None:
    async def flagged() -> bool:
        return (await handle.describe()).typed_search_attributes.get(NEEDS_ATTENTION) is stuck

    await until(flagged, f"NeedsAttention is {stuck}")


async def is_in_doubt(handle: Handle, step: str) -> bool:
    pending = (await handle.describe()).raw_description.pending_activities
    return any(activity.activity_type.name == step for activity in pending)


@pytest.mark.parametrize("step", ["debit", "credit"])
async def test_a_money_step_without_an_answer_needs_attention_and_heals_without_anyone(
    saga: Sagas, wanted: TransferOrder, step: str
) -> None:
    outage = Outage(saga.book.before[step])
    handle = await saga.start(wanted)
    await is_flagged(handle, stuck=True)
    described = await handle.describe()
    assert described.typed_search_attributes.get(TRANSFER_STATE) == ("initiated" if step == "debit" else "debited")
    assert "NEEDS ATTENTION" in await details(handle)
    outage.over = True
    assert (await handle.result()).state is State.COMPLETED
    await is_flagged(handle, stuck=False)
    assert "NEEDS ATTENTION" not in await details(handle)


async def test_retry_now_does_not_wait_for_the_next_retry_and_is_kept(
    saga: Sagas, wanted: TransferOrder, ask: StaffRequest, database_url: str
) -> None:
    outage = Outage(saga.book.before["credit"])
    handle = await saga.start(wanted)

    async def waits_long() -> bool:
        pending = (await handle.describe()).raw_description.pending_activities
        return any(activity.attempt >= 5 for activity in pending)

    await until(waits_long, "the pauses between retries have grown")
    tried = saga.book.calls.count("credit")
    outage.over = True
    await handle.execute_update("retry_now", ask)
    assert (await handle.result()).state is State.COMPLETED
    assert saga.book.calls.count("credit") <= tried + 2
    connection = await asyncpg.connect(database_url)
    kept = await connection.fetch(_REQUESTS)
    await connection.close()
    assert [tuple(row) for row in kept] == [("retry_step", ask.actor, "the database is back", "debited")]


async def test_retry_now_during_an_outage_changes_nothing(
    saga: Sagas, wanted: TransferOrder, ask: StaffRequest
) -> None:
    outage = Outage(saga.book.before["debit"])
    handle = await saga.start(wanted)
    await is_flagged(handle, stuck=True)
    await handle.execute_update("retry_now", ask)
    outage.over = True
    assert (await handle.result()).state is State.COMPLETED


async def test_an_undelivered_amount_is_given_back_on_request(
    saga: Sagas, account_reads: AccountReads, alice: Holder, wanted: TransferOrder, ask: StaffRequest
) -> None:
    Outage(saga.book.before["credit"])
    handle = await saga.start(wanted)
    await is_flagged(handle, stuck=True)
    await handle.execute_update("give_back", ask)
    ended = await handle.result()
    assert (ended.state, ended.failure and ended.failure.code) == (State.COMPENSATED, "cancelled")
    account = await account_reads.own(alice.id, alice.account_id)
    assert account is not None
    assert account.balance_minor == 10_000


async def test_giving_back_while_the_debit_is_in_doubt_waits_for_its_answer(
    saga: Sagas, account_reads: AccountReads, alice: Holder, wanted: TransferOrder, ask: StaffRequest
) -> None:
    outage = Outage(saga.book.after["debit"])
    handle = await saga.start(wanted)
    await is_flagged(handle, stuck=True)
    await handle.execute_update("give_back", ask)
    outage.over = True
    assert (await handle.result()).state is State.COMPENSATED
    account = await account_reads.own(alice.id, alice.account_id)
    assert account is not None
    assert account.balance_minor == 10_000


async def test_giving_back_before_the_row_is_written_is_recorded_at_once_and_no_money_moves(
    saga: Sagas, alice: Holder, wanted: TransferOrder, ask: StaffRequest, database_url: str
) -> None:
    outage = Outage(saga.book.before["open"])
    handle = await saga.start(wanted)
    await until(lambda: is_in_doubt(handle, "open_transfer"), "the opening is in doubt")
    await handle.execute_update("give_back", ask)
    outage.over = True
    assert (await handle.result()).state is State.CANCELLED
    assert "debit" not in saga.book.calls
    connection = await asyncpg.connect(database_url)
    kept = await connection.fetch(_REQUESTS)
    await connection.close()
    assert [tuple(row) for row in kept] == [("give_back", ask.actor, "the database is back", None)]


async def test_no_money_moves_while_an_early_request_to_give_back_is_recorded(
    saga: Sagas, owner: Connection, wanted: TransferOrder, ask: StaffRequest
) -> None:
    hold = Hold()
    saga.book.before["open"] += [line_breaks, hold]
    handle = await saga.start(wanted)
    await hold.reached.wait()
    async with owner.transaction():
        await owner.execute("LOCK TABLE staff_actions")
        giving_back = asyncio.create_task(handle.execute_update("give_back", ask))

        async def waits_for_the_lock() -> bool:
            return bool(await owner.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))

        await until(waits_for_the_lock, "the request is being recorded")
        hold.released.set()

        async def is_open() -> bool:
            return not await is_in_doubt(handle, "open_transfer")

        await until(is_open, "nothing but the request holds the debit back")
        await until(lambda: is_in_doubt(handle, "record_staff_action"), "the request is recorded again")
        assert "debit" not in saga.book.calls
    await giving_back
    assert (await handle.result()).state is State.CANCELLED
    assert "debit" not in saga.book.calls


async def test_an_early_request_to_give_back_that_is_refused_holds_no_transfer_back(
    saga: Sagas, wanted: TransferOrder
) -> None:
    outage = Outage(saga.book.before["open"])
    handle = await saga.start(wanted)
    await until(lambda: is_in_doubt(handle, "open_transfer"), "the opening is in doubt")
    with pytest.raises(WorkflowUpdateFailedError):
        await handle.execute_update("give_back", StaffRequest(wanted.owner_id, "why"))
    outage.over = True
    assert (await handle.result()).state is State.COMPLETED


async def test_trying_at_once_before_the_row_is_written_is_recorded_at_once(
    saga: Sagas, wanted: TransferOrder, ask: StaffRequest, database_url: str
) -> None:
    outage = Outage(saga.book.before["open"])
    handle = await saga.start(wanted)
    await until(lambda: is_in_doubt(handle, "open_transfer"), "the opening is in doubt")
    await handle.execute_update("retry_now", ask)
    outage.over = True
    assert (await handle.result()).state is State.COMPLETED
    connection = await asyncpg.connect(database_url)
    kept = await connection.fetch(_REQUESTS)
    await connection.close()
    assert [tuple(row) for row in kept] == [("retry_step", ask.actor, "the database is back", None)]


async def test_requests_need_an_actor_a_reason_and_something_to_do(saga: Sagas, wanted: TransferOrder) -> None:
    outage = Outage(saga.book.before["credit"])
    handle = await saga.start(wanted)
    await is_flagged(handle, stuck=True)
    for update in ("retry_now", "give_back"):
        nobody = (StaffRequest("", "why"), StaffRequest("olu", "why"), StaffRequest(wanted.owner_id, "why"))
        for bad in (*nobody, StaffRequest("olu", " ")):
            with pytest.raises(WorkflowUpdateFailedError):
                await handle.execute_update(update, bad)
    outage.over = True
    assert (await handle.result()).state is State.COMPLETED


async def test_a_refused_update_is_shown_where_operators_look(saga: Sagas, wanted: TransferOrder, bob: Holder) -> None:
    outage = Outage(saga.book.before["credit"])
    handle = await saga.start(wanted)
    await is_flagged(handle, stuck=True)
    with pytest.raises(WorkflowUpdateFailedError):
        await handle.execute_update("retry_now", {"actor": bob.id, "reason": "I want my money"})
    shown = await details(handle)
    assert f"REFUSED the last `retry_now` (not_staff): `{bob.id} is no operator or admin" in shown
    assert "sign in with.` NEEDS ATTENTION. The amount is in transit" in shown
    outage.over = True
    await handle.result()
    assert "REFUSED" not in await details(handle)
