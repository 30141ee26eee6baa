"""Accounts with entries, and statements of them."""

from datetime import UTC, datetime

from database.connections import Database
from ledger.ids import AccountId
from ledger.postgres.bulk.post import post_transfers
from ledger.transfers import TransferOrder
from statements.postgres.account_statements import AccountStatements
from statements.renderings.formats import rendering_of
from statements.renderings.statement_format import StatementFormat, whole
from statements.statement import AccountStatement, Bank, StatementLine, StatementTerms
from statements.statement_period import TimeZones
from tests.orders import FINGERPRINTS

TERMS = StatementTerms(Bank("Kobo Microfinance Bank", ("12 Marina Road", "Lagos")), TimeZones("Africa/Lagos"))
BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
NEVER = datetime(2999, 1, 1, tzinfo=UTC)


async def posted(database: Database, *orders: TransferOrder) -> None:
    async with database.transaction() as connection:
        await post_transfers(connection, orders, FINGERPRINTS)


async def made(
    statements: AccountStatements, account_id: AccountId, begins_at: datetime = BEGINNING, ends_at: datetime = NEVER
) -> AccountStatement:
    found = await statements.make(account_id, begins_at, ends_at)
    assert found is not None
    return found


async def lines_of(statements: AccountStatements, statement: AccountStatement) -> list[StatementLine]:
    return [line async for batch in statements.lines(statement) for line in batch]


async def rendered(statements: AccountStatements, statement: AccountStatement, format_: StatementFormat) -> bytes:
    return whole(rendering_of(statement, format_), [await lines_of(statements, statement)])
