"""The steps of statements: each goes on from its rows, and is safe to repeat."""

from temporalio import activity

from activities.refusals import refusals_as_answers
from statements.postgres.account_statements import AccountStatements
from statements.statement import StatementKey, StatementProgress


class StatementSteps:
    """Steps over the statements of one database."""

    def __init__(self, statements: AccountStatements) -> None:
        self._statements = statements

    @activity.defn
    async def add_up_statement(self, statement: StatementKey) -> StatementProgress:
        """Add the next lines of a statement to its sums, and tell its owner when it is ready.

        Refuses as `statement_not_found`. A repeat goes on from the row.
        """
        with refusals_as_answers():
            return await self._statements.add_up(statement)
