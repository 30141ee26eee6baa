"""Completions that are announced while a request reads the row: the request goes on at once."""

import asyncio
import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from api.transfers.completion import LONGEST_PAUSE, Completions
from ledger.ids import new_account_id, new_customer_id
from ledger.transfers import State, Transfer
from tests.orders import order


@pytest.fixture
def initiated() -> Transfer:
    now = datetime.now(UTC)
    wanted = order(new_customer_id(), new_account_id(), new_account_id(), 100)
    return Transfer(wanted, State.INITIATED, None, now, now, None)


@pytest.fixture
def completed(initiated: Transfer) -> Transfer:
    return replace(initiated, state=State.COMPLETED, completed_at=initiated.updated_at)


async def test_an_announcement_during_a_read_is_not_lost(completed: Transfer, initiated: Transfer) -> None:
    completions = Completions(worker_is_here=True)
    reads = 0

    async def read() -> Transfer:
        nonlocal reads
        reads += 1
        completions.announce(completed.id, completed)  # after the row was read, before the answer arrives
        await asyncio.sleep(0)
        return initiated

    async with completions.watch(completed.id) as watch:
        completions.announce(completed.id, None)
        began = time.monotonic()
        found = await completions.final_within(5, watch, lambda handed_over: handed_over, read)
    assert found is completed
    assert reads == 1
    assert time.monotonic() - began < LONGEST_PAUSE / 2


async def test_many_waiting_requests_read_a_bounded_number_of_rows(initiated: Transfer) -> None:
    completions = Completions(worker_is_here=True)
    reads = 0

    async def read() -> Transfer:
        nonlocal reads
        reads += 1
        return initiated

    async def wait(number: int) -> None:
        name = type(initiated.id)(f"trf_{number}")
        async with completions.watch(name) as watch:
            await completions.final_within(2.5, watch, lambda handed_over: handed_over, read)

    await asyncio.gather(*(wait(number) for number in range(2_000)))
    assert reads < 5 * 2_000  # at an interval of 0.5 s they were 12,000
