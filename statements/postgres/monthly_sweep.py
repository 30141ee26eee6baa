"""The statements that each month's end brings: one for each account and month, made by a sweep over the accounts."""

from collections.abc import Callable
from datetime import date, datetime
from typing import TYPE_CHECKING

import structlog

from database.connections import RowHeld
from ledger.ids import SYSTEM_CUSTOMER, AccountId
from ledger.refusals import ActionRefused
from statements.postgres.account_statements import AccountStatements
from statements.statement import MonthlyStatements
from statements.statement_period import TimeZones, day_begins, last_month, next_month

if TYPE_CHECKING:
    from database.statements import Row

log = structlog.get_logger()

# So many accounts are looked at in one step.
ACCOUNTS_IN_A_STEP = 500

# After an outage each month that was missed gets its statement, as long as it is one of so many.
MOST_MONTHS = 12

# Accounts that were never used have none, nor have closed ones whose last statement shows their end. `latest` is the
# last month that an account has its statement of.
_ACCOUNTS = f"""
    SELECT a.id, a.currency, a.status, a.version, a.created_at, clock_timestamp() AS now, latest.month,
        latest.to_version
    FROM accounts a
    LEFT JOIN LATERAL (
        SELECT s.month, s.to_version FROM account_statements s
        WHERE s.account_id = a.id AND s.month IS NOT NULL ORDER BY s.month DESC LIMIT 1
    ) latest ON true
    WHERE a.id > $1 AND a.version > 0 AND a.owner_id <> '{SYSTEM_CUSTOMER}'
    ORDER BY a.id LIMIT $2
"""


async def make_monthly(
    statements: AccountStatements, after: AccountId, report: Callable[[], None]
) -> MonthlyStatements:
    """Make the statements that the next `ACCOUNTS_IN_A_STEP` accounts lack, each in a transaction of its own.

    An account that somebody holds, or whose entries are broken, is left to the next sweep, and logged. `report` is
    called for each account. Raises `Unavailable` where PostgreSQL gave no answer.
    """
    rows = await statements.accounts_behind(_ACCOUNTS, after, ACCOUNTS_IN_A_STEP)
    zones, made = statements.terms.zones, 0
    for row in rows:
        report()
        account_id = AccountId(row["id"])
        for month in months_due(row, zones):
            zone = zones.of(row["currency"])
            try:
                found = await statements.make(
                    account_id, day_begins(month, zone), day_begins(next_month(month), zone), month=month
                )
            except (RowHeld, ActionRefused) as error:
                log.warning("an account has no monthly statement yet", account_id=account_id, error=str(error))
                break
            made += found is not None
    last = AccountId(rows[-1]["id"]) if rows else after
    return MonthlyStatements(made, last, has_more=len(rows) == ACCOUNTS_IN_A_STEP)


def months_due(row: "Row", zones: TimeZones) -> list[date]:
    """The months that are over and have no statement: those behind the last one that has, or only the last month."""
    zone, now = zones.of(row["currency"]), row["now"]
    last = last_month(now, zone)
    if row["month"] is None:
        opened: datetime = row["created_at"]
        return [last] if opened < day_begins(next_month(last), zone) else []
    if row["status"] == "closed" and row["to_version"] == row["version"]:
        return []
    due, month = [], next_month(row["month"])
    while month <= last:
        due.append(month)
        month = next_month(month)
    return due[-MOST_MONTHS:]
