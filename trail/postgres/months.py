"""The partitions of the trails: one for each month, made ahead of it, and dropped as a whole when it is old."""

from dataclasses import dataclass

import asyncpg

from database.connections import Database, Unavailable

# Months that are ready before they begin. Without one, records go into the default partition.
MONTHS_AHEAD = 3

_MAKE = "SELECT make_trail_months($1)"
_DROP = "SELECT drop_trail_month($1, $2)"  # the oldest month of a trail; whether it did


@dataclass(frozen=True, slots=True)
class Retention:
    """How many whole months each trail keeps beside the present one; None: all of them."""

    audit_months: int | None
    request_months: int | None


async def make_months(database: Database) -> None:
    """Make the partitions of this month and of the next ones. Safe to run in every process.

    Raises `Unavailable` where PostgreSQL gave no answer or refused.
    """
    await _ask(database, _MAKE, MONTHS_AHEAD)


async def drop_old_months(database: Database, retention: Retention) -> None:
    """Drop what is older and sealed. Each drop is a record of the audit trail. Safe to run in every process.

    PostgreSQL keeps at least a year of the audit trail and a month of requests, whatever is asked for. Raises
    `Unavailable` where it gave no answer or refused, as while somebody reads the old month.
    """
    for trail, months in (("request_records", retention.request_months), ("audit_records", retention.audit_months)):
        if months is not None:
            while await _ask(database, _DROP, trail, months):
                pass


async def _ask(database: Database, question: str, *values: object) -> object:
    try:
        async with database.connection() as connection:
            return await connection.fetchval(question, *values)
    except asyncpg.PostgresError as error:
        raise Unavailable(f"PostgreSQL refuses to change the partitions: {error}") from error
