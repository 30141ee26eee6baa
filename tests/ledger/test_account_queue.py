"""The queue of an account, and the cause that a step reads when its turn does not come."""

import asyncio

import pytest

from database.connections import Unavailable
from ledger.ids import AccountId
from ledger.postgres.account_queue import AT_ONCE, PATIENCE_SECONDS, AccountQueues

ACCOUNT, OTHER = AccountId("acc_busy"), AccountId("acc_other")
AWAY = "PostgreSQL did not answer: ConnectionRefusedError: [Errno 111] Connect call failed"


async def fails_once(queues: AccountQueues, account_id: AccountId = ACCOUNT) -> None:
    with pytest.raises(Unavailable, match="ConnectionRefusedError"):
        async with queues.turn(account_id):
            raise Unavailable(AWAY)


async def waits_in_vain(queues: AccountQueues, account_id: AccountId = ACCOUNT) -> str:
    """The error of a step that waits behind steps which keep their turn for longer than it waits."""
    served, over = [asyncio.Event() for _ in range(AT_ONCE)], asyncio.Event()

    async def keep(turn: asyncio.Event) -> None:
        async with queues.turn(account_id):
            turn.set()
            await over.wait()

    keeping = [asyncio.create_task(keep(turn)) for turn in served]
    await asyncio.gather(*(turn.wait() for turn in served))
    try:
        with pytest.raises(Unavailable) as refused:
            async with asyncio.timeout(PATIENCE_SECONDS + 5), queues.turn(account_id):
                raise AssertionError("the turn came")
        return str(refused.value)
    finally:
        over.set()
        await asyncio.gather(*keeping)


async def test_a_waiting_step_names_the_cause_of_the_last_failure() -> None:
    queues = AccountQueues()
    await fails_once(queues)
    error = await waits_in_vain(queues)
    assert error.startswith(AWAY)
    assert f"{AT_ONCE + 1} steps of this process wait for acc_busy" in error


async def test_a_waiting_step_names_no_cause_that_has_gone_or_is_another_accounts() -> None:
    queues = AccountQueues()
    await fails_once(queues)
    await fails_once(queues, OTHER)
    async with queues.turn(ACCOUNT):
        pass
    assert "has no answer yet" in await waits_in_vain(queues)
