"""How steps run: what replays and stories do not reach."""

import asyncio
from random import Random

import pytest
from temporalio import workflow
from temporalio.exceptions import ApplicationError

from workflows.step_execution import Attention, local_first
from workflows.steps import debit_source


async def never(*_: object, **__: object) -> None:
    await asyncio.Event().wait()


def no_answer(*_: object, **__: object) -> None:
    raise ApplicationError("the line broke")


async def test_a_step_that_is_dropped_with_its_worker_shows_nothing_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """The garbage collector may close it while another workflow runs, whose attributes would be written instead."""
    monkeypatch.setattr(workflow, "start_local_activity", no_answer)
    monkeypatch.setattr(workflow, "execute_activity", never)
    monkeypatch.setattr(workflow, "wait_condition", never)
    monkeypatch.setattr(workflow, "random", Random)
    shown: list[bool] = []
    attention = Attention(show=lambda: shown.append(attention.stuck), stuck=True)
    others = asyncio.all_tasks()
    waiting = local_first(debit_source, summary="Debit", attention=attention)
    waiting.send(None)
    assert shown == [True], "it is in doubt, and waits"
    waiting.close()
    assert shown == [True]
    for task in asyncio.all_tasks() - others:
        task.cancel()
