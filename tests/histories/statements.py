"""Statements: a long one that is added up by its workflow, and a sweep that starts another one again."""

from ledger.workflow_ids import statement_workflow_id
from statements.postgres import account_statements
from statements.postgres.account_statements import AccountStatements
from statements.statement import StatementKey
from tests.histories.stage import RecordedAction, Stage, path
from tests.statements.scene import TERMS, made
from workflows.books.statement import StatementWorkflow
from workflows.sweeps.monthly_statements import StatementSweepWorkflow


async def _long(stage: Stage) -> StatementKey:
    """A statement of one line that counts as long, so nobody has added it up yet."""
    at_once = account_statements.SUMMED_AT_ONCE
    account_statements.SUMMED_AT_ONCE = 0
    try:
        return (await made(AccountStatements(stage.saga.book.database, TERMS), stage.ada.account_id)).key
    finally:
        account_statements.SUMMED_AT_ONCE = at_once


@path()
async def statement_added_up(stage: Stage) -> RecordedAction:
    statement = await _long(stage)
    return await stage.saga.client.start_workflow(
        StatementWorkflow.run,
        statement,
        id=statement_workflow_id(statement.account_id, statement.number),
        task_queue=stage.saga.settings.task_queue,
    )


@path(recovery_grace_seconds=0)
async def statements_swept(stage: Stage) -> RecordedAction:
    await _long(stage)
    return await stage.saga.client.start_workflow(
        StatementSweepWorkflow.run, id="statements", task_queue=stage.saga.settings.task_queue
    )
