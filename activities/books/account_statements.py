"""The steps of statements: each goes on from its rows, and is safe to repeat."""

from temporalio import activity
from temporalio.client import Client

from activities.recovery import report_progress, workflow_runs
from activities.refusals import refusals_as_answers
from ledger.ids import AccountId
from ledger.workflow_ids import statement_workflow_id
from statements.postgres.account_statements import AccountStatements
from statements.postgres.monthly_sweep import make_monthly
from statements.statement import MonthlyStatements, StatementKey, StatementProgress


class StatementSteps:
    """Steps over the statements of one database. `grace_seconds` means the same as in `RecoverySteps`."""

    def __init__(self, client: Client, statements: AccountStatements, grace_seconds: int) -> None:
        self._client = client
        self._statements = statements
        self._grace_seconds = grace_seconds

    @activity.defn
    async def add_up_statement(self, statement: StatementKey) -> StatementProgress:
        """Add the next lines of a statement to its sums, and tell its owner when it is ready.

        Refuses as `statement_not_found`. A repeat goes on from the row.
        """
        with refusals_as_answers():
            return await self._statements.add_up(statement)

    @activity.defn
    async def find_stranded_statements(self) -> list[StatementKey]:
        """Statements that are not ready and whose workflow does not run."""
        found = await self._statements.open_since(self._grace_seconds)
        return [
            key
            for key in found
            if not await workflow_runs(self._client, statement_workflow_id(key.account_id, key.number))
        ]

    @activity.defn
    async def make_monthly_statements(self, after: AccountId) -> MonthlyStatements:
        """Make last month's statements of some accounts behind this one, in the order of ids.

        A repeat makes those that are missing. A long one is added up by a workflow, which recovery starts.
        """
        return await make_monthly(self._statements, after, report_progress)
