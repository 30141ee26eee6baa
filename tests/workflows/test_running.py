"""How steps run: what replays and stories do not reach."""

import asyncio

import pytest
from temporalio import workflow

from workflows.step_execution import Attention, local_first
from workflows.steps import debit_source


async def never(*_: object, **__: object) -> None:
    await asyncio.Event().wait()


async def test_a_step_that_is_dropped_with_its_worker_says_nothing_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """The garbage collector may close it while another workflow runs, which would be told instead."""
    monkeypatch.setattr(workflow, "execute_activity", never)
    monkeypatch.setattr(workflow, "wait_condition", never)
    said: list[bool] = []
    attention = Attention(show=lambda: said.append(attention.stuck), stuck=True)
    others = asyncio.all_tasks()
    waiting = local_first(debit_source, summary="Debit", attention=attention, is_in_doubt=True)
    waiting.send(None)
    assert said == [True], "it is in doubt, and waits"
    waiting.close()
    assert said == [True]
    for task in asyncio.all_tasks() - others:
        task.cancel()
