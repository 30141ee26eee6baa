"""The sweep of monthly statements on a real Temporal server."""

import secrets

import pytest
from temporalio.client import Client
from temporalio.worker import Worker

from activities.books.account_statements import StatementSteps
from customers.postgres import Customers
from database.connections import Database
from ledger.postgres.book import Book
from statements.postgres import account_statements
from statements.postgres.account_statements import AccountStatements
from statements.statement import StatementState
from tests.connections import Connection
from tests.orders import funded
from tests.statements.scene import TERMS, made
from tests.waiting import until
from worker import DIRECT
from workflows.books.statement import StatementWorkflow
from workflows.sweeps.monthly_statements import StatementSweepWorkflow


async def test_a_sweep_makes_last_months_statements_and_starts_a_lost_workflow_again(
    client: Client,
    database: Database,
    customers: Customers,
    book: Book,
    owner: Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    statements = AccountStatements(database, TERMS)
    ada, ben = await funded(customers, book, 500), await funded(customers, book, 700)
    monkeypatch.setattr(account_statements, "SUMMED_AT_ONCE", 0)
    lost = await made(statements, ada.account_id)
    monkeypatch.setattr(account_statements, "SUMMED_AT_ONCE", 10)
    assert lost.state is StatementState.SUMMING
    await owner.execute("UPDATE accounts SET created_at = now() - interval '2 months'")
    steps, queue = StatementSteps(client, statements, grace_seconds=0), f"test-{secrets.token_hex(6)}"
    async with Worker(
        client,
        task_queue=queue,
        workflows=[StatementSweepWorkflow, StatementWorkflow],
        activities=[steps.add_up_statement, steps.find_stranded_statements, steps.make_monthly_statements],
        workflow_runner=DIRECT,
    ):
        for wanted in (2, 0):
            found = await client.execute_workflow(
                StatementSweepWorkflow.run, id=f"sweep-{secrets.token_hex(6)}", task_queue=queue
            )
            assert found == wanted

        async def is_ready() -> bool:
            again = await statements.find(lost.key)
            return again is not None and again.state is StatementState.READY

        await until(is_ready, "the lost statement is added up")
    page = await statements.of_account(ben.account_id, 100, 10)
    assert [each.month is not None for each in page.items] == [True]
