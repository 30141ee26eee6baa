"""A rebuild ends whatever happens to its workflow, and keeps its histories short."""

from typing import Any

import pytest
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle

from customers.postgres import Customers
from database.connections import Database
from ledger.postgres.account_reads import AccountReads
from ledger.workflow_ids import rebuild_workflow_id
from staff.permissions import Actor, Role
from staff.rebuilds.postgres import Rebuilds
from staff.rebuilds.rebuild import Rebuild, RebuildProgress, RebuildState
from tests.connections import Connection
from tests.orders import Holder, funded, staff
from tests.workflows.sagas import Sagas, UnreliableBook, sagas
from workflows.books.rebuild import RebuildWorkflow
from workflows.recovery import RecoveryWorkflow

Handle = WorkflowHandle[Any, RebuildProgress]


@pytest.fixture
async def people(customers: Customers, book: UnreliableBook, owner: Connection) -> list[Holder]:
    """Three customers with 100.00 each, whose balances somebody has falsified, in the order of their accounts."""
    made = sorted([await funded(customers, book, 10_000) for _ in range(3)], key=lambda each: each.account_id)
    falsify = "UPDATE accounts SET balance_minor = balance_minor + 1 WHERE id = $1"
    await owner.executemany(falsify, [(each.account_id,) for each in made])
    return made


@pytest.fixture
async def requested(database: Database, people: list[Holder]) -> Rebuild:
    assert people
    return await Rebuilds(database).request(Actor(await staff(database), Role.ADMIN), None, "ticket 4711")


async def started(saga: Sagas, requested: Rebuild, *, steps_at_once: int) -> Handle:
    return await saga.client.start_workflow(
        RebuildWorkflow.run,
        args=[requested.id, steps_at_once],
        id=rebuild_workflow_id(requested.id),
        task_queue=saga.settings.task_queue,
    )


async def balances(account_reads: AccountReads, people: list[Holder]) -> set[int]:
    found = [await account_reads.find(each.account_id) for each in people]
    return {each.balance_minor for each in found if each is not None}


async def test_a_rebuild_that_lost_its_workflow_in_the_middle_is_finished_by_recovery(
    client: Client,
    book: UnreliableBook,
    database: Database,
    people: list[Holder],
    requested: Rebuild,
    account_reads: AccountReads,
) -> None:
    looked_at_one = await Rebuilds(database).proceed(requested.id, 0)
    assert (looked_at_one.state, looked_at_one.accounts_done, looked_at_one.rebuilt) == (RebuildState.RUNNING, 1, 1)
    async with sagas(client, book, recovery_grace_seconds=0) as saga:
        sweep = await client.execute_workflow(
            RecoveryWorkflow.run, id=f"sweep-{requested.id}", task_queue=saga.settings.task_queue
        )
        assert sweep.rebuilds == [requested.id]
        lost = client.get_workflow_handle(rebuild_workflow_id(requested.id), result_type=RebuildProgress)
        ended = await lost.result()
    assert (ended.state, ended.accounts_done, ended.rebuilt) == (RebuildState.COMPLETED, 3, 3)
    assert await balances(account_reads, people) == {10_000}


async def test_a_long_rebuild_continues_as_new_from_its_place(
    client: Client,
    book: UnreliableBook,
    people: list[Holder],
    requested: Rebuild,
    account_reads: AccountReads,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("worker.STEP_SECONDS", 0)  # a step looks at one account
    async with sagas(client, book) as saga:
        handle = await started(saga, requested, steps_at_once=2)
        ended = await handle.result()
        first = await client.get_workflow_handle(handle.id, run_id=handle.first_execution_run_id).describe()
    assert first.status is WorkflowExecutionStatus.CONTINUED_AS_NEW
    assert (ended.accounts_done, ended.accounts_total, ended.rebuilt, ended.left) == (3, 3, 3, 0)
    assert await balances(account_reads, people) == {10_000}
