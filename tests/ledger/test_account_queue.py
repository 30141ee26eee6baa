"""Waiting in line for an account, and what is said of a line that does not move."""

import asyncio

import pytest

from database.connections import Unavailable
from ledger.ids import AccountId
from ledger.postgres.account_queue import AT_ONCE, PATIENCE_SECONDS, AccountQueues

ACCOUNT, OTHER = AccountId("acc_busy"), AccountId("acc_other")
AWAY = "PostgreSQL did not answer: ConnectionRefusedError: [Errno 111] Connect call failed"


async def fails_once(lines: AccountQueues, account_id: AccountId = ACCOUNT) -> None:
    with pytest.raises(Unavailable, match="ConnectionRefusedError"):
        async with lines.turn(account_id):
            raise Unavailable(AWAY)


async def waits_in_vain(lines: AccountQueues, account_id: AccountId = ACCOUNT) -> str:
    """What is said to a step behind as many as get a turn, which keep it for longer than it waits."""
    served, over = [asyncio.Event() for _ in range(AT_ONCE)], asyncio.Event()

    async def keep(turn: asyncio.Event) -> None:
        async with lines.turn(account_id):
            turn.set()
            await over.wait()

    keeping = [asyncio.create_task(keep(turn)) for turn in served]
    await asyncio.gather(*(turn.wait() for turn in served))
    try:
        with pytest.raises(Unavailable) as said:
            async with asyncio.timeout(PATIENCE_SECONDS + 5), lines.turn(account_id):
                raise AssertionError("the line has not moved")
        return str(said.value)
    finally:
        over.set()
        await asyncio.gather(*keeping)


async def test_a_step_in_line_says_why_the_line_does_not_move() -> None:
    lines = AccountQueues()
    await fails_once(lines)
    said = await waits_in_vain(lines)
    assert said.startswith(AWAY)
    assert f"{AT_ONCE + 1} steps of this process are in line for acc_busy" in said


async def test_a_cause_that_has_gone_and_one_of_another_account_are_not_named() -> None:
    lines = AccountQueues()
    await fails_once(lines)
    await fails_once(lines, OTHER)
    async with lines.turn(ACCOUNT):
        pass
    assert "have no answer yet" in await waits_in_vain(lines)
