"""The tables of statements, and what a statement is read by."""

from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    Table,
    Text,
    select,
    text,
)

from database.metadata import METADATA, Timestamp, required
from ledger.postgres.tables import accounts

account_statements = Table(
    "account_statements",
    METADATA,
    Column("account_id", Text, ForeignKey("accounts.id"), primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    required("holder_name", Text),
    required("bank_name", Text),
    required("bank_address", Text),
    required("time_zone", Text),
    required("begins_at", Timestamp),
    required("ends_at", Timestamp),
    Column("month", Date),
    required("from_version", BigInteger),
    required("to_version", BigInteger),
    required("opening_minor", BigInteger),
    required("closing_minor", BigInteger),
    required("opening_hash", LargeBinary),
    required("head_hash", LargeBinary),
    required("made_at", Timestamp, server_default=text("clock_timestamp()")),
)
Index(
    "account_statements_by_month",
    account_statements.c.account_id,
    account_statements.c.month,
    unique=True,
    postgresql_where=account_statements.c.month.is_not(None),
)
Index("account_statements_by_time", account_statements.c.made_at)

account_statement_totals = Table(
    "account_statement_totals",
    METADATA,
    Column("account_id", Text, primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    required("through_version", BigInteger),
    required("credits", BigInteger, server_default="0"),
    required("credits_minor", BigInteger, server_default="0"),
    required("debits", BigInteger, server_default="0"),
    required("debits_minor", BigInteger, server_default="0"),
    Column("ready_at", Timestamp),
    ForeignKeyConstraint(["account_id", "number"], ["account_statements.account_id", "account_statements.number"]),
)
Index(
    "account_statement_totals_open",
    account_statement_totals.c.account_id,
    account_statement_totals.c.number,
    postgresql_where=account_statement_totals.c.ready_at.is_(None),
)

_TOTALS = ("through_version", "credits", "credits_minor", "debits", "debits_minor", "ready_at")

# As `AccountStatement` has them.
STATEMENT = (
    select(
        *account_statements.c,
        accounts.c.owner_id,
        accounts.c.number.label("account_number"),
        accounts.c.currency,
        *(account_statement_totals.c[name] for name in _TOTALS),
    )
    .join(accounts, accounts.c.id == account_statements.c.account_id)
    .join(
        account_statement_totals,
        (account_statement_totals.c.account_id == account_statements.c.account_id)
        & (account_statement_totals.c.number == account_statements.c.number),
    )
)
