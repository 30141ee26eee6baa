"""The queue of an account: who comes first, who is sent away, and the cause that a step reads then."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.refusals import refusals_as_answers
from customers.postgres import Customers
from database.connections import WORKER_ROLE, Database, RowHeld, Unavailable
from ledger.ids import AccountId
from ledger.postgres.account_queue import (
    FIRST_RETURN,
    HELD_AFTER,
    PATIENCE,
    RETURNS_A_SECOND,
    AccountBusy,
    AccountQueues,
)
from ledger.postgres.book import Book
from ledger.transfers import State, Step
from staff.postgres.reversal_record import record_reversal
from tests.orders import FINGERPRINTS, funded, holder, order

ACCOUNT, OTHER = AccountId("acc_busy"), AccountId("acc_other")
AWAY = "PostgreSQL did not answer: ConnectionRefusedError: [Errno 111] Connect call failed"
HELD = "Another transaction holds the row: LockNotAvailableError: canceling statement due to lock timeout."


async def fails_once(queues: AccountQueues, account_id: AccountId = ACCOUNT, error: Unavailable | None = None) -> None:
    with pytest.raises(Unavailable):
        async with queues.turn(account_id):
            raise error or Unavailable(AWAY)


@asynccontextmanager
async def kept(queues: AccountQueues, account_id: AccountId = ACCOUNT, *, asks: bool = True) -> AsyncIterator[None]:
    """Somebody else has the turn, and asks PostgreSQL, or waits for a connection."""
    has_it, over = asyncio.Event(), asyncio.Event()

    async def keep() -> None:
        async with queues.turn(account_id) as turn:
            if asks:
                turn.has_connection()
            has_it.set()
            await over.wait()

    keeping = asyncio.create_task(keep())
    await has_it.wait()
    try:
        yield
    finally:
        over.set()
        await keeping


async def enters(queues: AccountQueues) -> None:
    async with queues.turn(ACCOUNT):
        pass


async def sent_away(queues: AccountQueues, account_id: AccountId = ACCOUNT) -> AccountBusy:
    with pytest.raises(AccountBusy) as busy:
        async with asyncio.timeout(PATIENCE.total_seconds() + 5), queues.turn(account_id):
            raise AssertionError("the turn came")
    return busy.value


async def test_a_waiting_step_names_the_cause_of_the_last_failure() -> None:
    queues = AccountQueues()
    await fails_once(queues)
    async with kept(queues):
        busy = await sent_away(queues)
    assert str(busy).startswith(AWAY)
    assert busy.account_id == ACCOUNT


async def test_a_waiting_step_names_no_cause_that_has_gone_or_is_another_accounts() -> None:
    queues = AccountQueues()
    await fails_once(queues)
    await fails_once(queues, OTHER)
    async with queues.turn(ACCOUNT):
        pass
    async with kept(queues):
        assert "has no answer yet" in str(await sent_away(queues))


async def test_steps_of_a_quick_account_take_their_turns_in_order() -> None:
    queues, order = AccountQueues(), list[int]()

    async def step(number: int) -> None:
        async with queues.turn(ACCOUNT):
            order.append(number)
            await asyncio.sleep(0)

    await asyncio.gather(*(step(number) for number in range(1_000)))
    assert order == list(range(1_000))


async def test_steps_behind_a_held_account_are_sent_away_and_later_ones_at_once() -> None:
    queues = AccountQueues()
    async with kept(queues):
        began = time.monotonic()
        waited = await asyncio.gather(*(sent_away(queues) for _ in range(20)))
        assert time.monotonic() - began < PATIENCE.total_seconds()
        began = time.monotonic()
        waited.append(await sent_away(queues))
        assert time.monotonic() - began < HELD_AFTER.total_seconds()
        waited += await asyncio.gather(*(sent_away(queues) for _ in range(1_979)))
    places = sorted(busy.take_place().total_seconds() for busy in waited)
    assert places[0] == pytest.approx(FIRST_RETURN.total_seconds(), abs=0.1)
    assert places[-1] == pytest.approx(2_000 / RETURNS_A_SECOND, rel=0.1)


async def test_steps_behind_one_that_waits_for_a_connection_stay_in_line() -> None:
    queues = AccountQueues()
    async with kept(queues, asks=False):
        waiting = asyncio.create_task(enters(queues))
        await asyncio.sleep(HELD_AFTER.total_seconds() + 0.2)
        assert not waiting.done()
    await waiting
    async with kept(queues):
        waiting = asyncio.create_task(enters(queues))
        await asyncio.sleep(0)
        assert not waiting.done(), "the account does not count as held"
    await waiting


async def test_steps_of_a_process_that_has_no_connection_free_wait_for_one_and_send_nobody_away(
    database_url: str, book: Book, customers: Customers
) -> None:
    ada, ben = await funded(customers, book, 1_000), await holder(customers)
    first, *orders = [order(ada.id, ada.account_id, ben.account_id, 100) for _ in range(3)]
    for each in (first, *orders):
        await book.open_transfer(each)
    async with Database(database_url, connections=1, role=WORKER_ROLE) as database:
        alone = Book(database, FINGERPRINTS, record_reversal)
        # The first one plans every statement, which takes long on a busy machine.
        await alone.debit(Step(first.transfer_id, 1, ada.account_id))
        async with database.connection():
            debits = [asyncio.create_task(alone.debit(Step(each.transfer_id, 1, ada.account_id))) for each in orders]
            await asyncio.sleep(HELD_AFTER.total_seconds() + 0.2)
        assert [(await debit).state for debit in debits] == [State.DEBITED] * 2
    for each in (first, *orders):
        await book.credit(Step(each.transfer_id, 1, ben.account_id))


async def test_a_local_attempt_takes_no_place_among_those_that_come_again() -> None:
    queues = AccountQueues()

    async def step() -> None:
        with refusals_as_answers():
            async with queues.turn(ACCOUNT):
                raise AssertionError("the turn came")

    async def sent_away_from(*, local: bool) -> timedelta | None:
        environment = ActivityEnvironment()
        environment.info = replace(environment.info, is_local=local)
        with pytest.raises(ApplicationError) as busy:
            await environment.run(step)
        return busy.value.next_retry_delay

    await fails_once(queues, error=RowHeld(HELD))
    async with kept(queues):
        assert [await sent_away_from(local=True) for _ in range(100)] == [None] * 100
        first = await sent_away_from(local=False)
        assert first is not None
        assert first.total_seconds() == pytest.approx(FIRST_RETURN.total_seconds(), abs=0.1)


async def test_of_a_held_account_one_step_at_a_time_tries_and_the_first_success_lets_all_in() -> None:
    queues = AccountQueues()
    await fails_once(queues, error=RowHeld(HELD))
    async with kept(queues):
        assert str(await sent_away(queues)).startswith(HELD)
    async with kept(queues):
        waiting = asyncio.create_task(enters(queues))
        await asyncio.sleep(0)
        assert not waiting.done()
    await waiting


async def test_a_refusal_is_an_answer_and_lets_all_in() -> None:
    queues = AccountQueues()
    await fails_once(queues, error=RowHeld(HELD))
    with pytest.raises(ZeroDivisionError):
        async with queues.turn(ACCOUNT):
            raise ZeroDivisionError
    async with kept(queues):
        waiting = asyncio.create_task(enters(queues))
        await asyncio.sleep(0)
        assert not waiting.done()
    await waiting


async def test_a_step_that_finds_the_row_held_says_which_account_is_busy() -> None:
    queues = AccountQueues()
    with pytest.raises(AccountBusy, match=f"{ACCOUNT} is busy. {HELD}") as busy:
        async with queues.turn(ACCOUNT):
            raise RowHeld(HELD)
    assert not busy.value.is_held  # it was its turn: the retry policy says when the next one is


async def test_staff_come_before_waiting_steps_and_are_not_sent_away() -> None:
    queues, order = AccountQueues(), list[str]()

    async def enter(name: str, *, for_staff: bool = False) -> None:
        async with queues.turn(ACCOUNT, for_staff=for_staff):
            order.append(name)

    await fails_once(queues, error=RowHeld(HELD))
    async with kept(queues):
        await sent_away(queues)
        staff = asyncio.create_task(enter("staff", for_staff=True))
        await asyncio.sleep(HELD_AFTER.total_seconds() + 0.1)
        assert not staff.done()
    await staff
    async with kept(queues):
        steps = [asyncio.create_task(enter(f"step {number}")) for number in range(2)]
        await asyncio.sleep(0)
        staff = asyncio.create_task(enter("staff", for_staff=True))
        await asyncio.sleep(0)
    await asyncio.gather(*steps, staff)
    assert order == ["staff", "staff", "step 0", "step 1"]


async def test_who_gives_up_leaves_the_queue_to_the_others() -> None:
    queues = AccountQueues()
    async with kept(queues):
        gives_up, stays = (asyncio.create_task(enters(queues)) for _ in range(2))
        await asyncio.sleep(0)
        gives_up.cancel()
    await stays
    assert gives_up.cancelled()
