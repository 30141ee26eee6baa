"""Statements that are not added up yet, for those who look whether they progress. Reads a partial index of these."""

from collections.abc import Sequence
from dataclasses import dataclass

from database.connections import Database
from database.rows import dataclass_of
from ledger.ids import AccountId

# A step adds up 50,000 lines in less than a second, and each sweep, twice an hour, starts lost workflows again.
UNFINISHED_SECONDS = 3_600

_COUNT = """
    SELECT count(*) AS statements,
        coalesce(greatest(0, extract(epoch FROM clock_timestamp() - min(s.made_at))), 0)::bigint AS oldest_seconds
    FROM account_statement_totals t JOIN account_statements s USING (account_id, number) WHERE t.ready_at IS NULL
"""
_OVERDUE = """
    SELECT s.account_id, s.number, t.through_version - s.from_version + 1 AS summed,
        s.to_version - s.from_version + 1 AS lines, extract(epoch FROM clock_timestamp() - s.made_at)::bigint AS seconds
    FROM account_statement_totals t JOIN account_statements s USING (account_id, number)
    WHERE t.ready_at IS NULL AND s.made_at < clock_timestamp() - make_interval(secs => $1)
    ORDER BY s.made_at LIMIT $2
"""


@dataclass(frozen=True, slots=True)
class OverdueStatement:
    """A statement whose lines are still not added up: `summed` of them are."""

    account_id: AccountId
    number: int
    summed: int
    lines: int
    seconds: int


@dataclass(frozen=True, slots=True)
class UnfinishedStatements:
    """How many statements are not added up, and for how long the first of them waits."""

    statements: int
    oldest_seconds: int
    overdue: Sequence[OverdueStatement] = ()


ALL_FINISHED = UnfinishedStatements(0, 0)


async def unfinished_statements(database: Database, at_most: int) -> UnfinishedStatements:
    """Those of now, with at most so many overdue ones. Raises `Unavailable` where PostgreSQL gave no answer."""
    async with database.connection() as connection:
        row = await connection.fetchrow(_COUNT)
        assert row is not None, "an aggregate always has a row"
        overdue = await connection.fetch(_OVERDUE, UNFINISHED_SECONDS, at_most)
    return dataclass_of(UnfinishedStatements, row, overdue=[dataclass_of(OverdueStatement, each) for each in overdue])
