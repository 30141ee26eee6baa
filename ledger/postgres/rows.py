"""Rows of PostgreSQL as the pure ledger's types, and the columns that make them."""

import json
from dataclasses import replace

import asyncpg
from sqlalchemy import select

from database.rows import dataclass_of
from ledger.accounts import Account
from ledger.postgres.tables import accounts, transfers
from ledger.transfers import Failure, Kind, State, Transfer, TransferOrder

# With prefixes, because one statement reads a transfer and an account together.
TRANSFER_COLUMNS = """
    t.id AS t_id, t.owner_id AS t_owner_id, t.idempotency_key, t.fingerprint, t.kind, t.source_account_id,
    t.destination_account_id, t.amount_minor, t.currency AS t_currency, t.note, t.transaction_id, t.workflow_id,
    t.state, t.attempt, t.failure_code, t.failure_message, t.failure_side, t.created_at AS t_created_at,
    t.updated_at, t.completed_at, t.reverses_transfer_id, t.metadata, t.all_that_is_left
"""

ACCOUNT_COLUMNS = """
    a.id AS a_id, a.owner_id AS a_owner_id, a.currency AS a_currency, a.status AS a_status, a.tier AS a_tier,
    a.balance_minor AS a_balance_minor, a.version AS a_version, a.head_hash AS a_head_hash,
    a.created_at AS a_created_at, a.held_minor AS a_held_minor,
    a.number AS a_number, a.name AS a_name, a.frozen AS a_frozen, a.overdraft_minor AS a_overdraft_minor,
    a.spent_on AS a_spent_on, a.spent_day_minor AS a_spent_day_minor, a.spent_month_minor AS a_spent_month_minor,
    a.owner_verified AS a_owner_verified
"""

# The same columns for statements that SQLAlchemy Core builds.
_PREFIXED = ("id", "owner_id", "currency", "created_at")
TRANSFER = tuple(column.label(f"t_{column.name}") if column.name in _PREFIXED else column for column in transfers.c)
ACCOUNT = tuple(column.label(f"a_{column.name}") for column in accounts.c)

# Who owns the accounts of a transfer: facts for the API, which compares them with whoever reads it.
_HOLDERS = accounts.alias("holders")
_OWNER = select(_HOLDERS.c.owner_id)
TRANSFER_WITH_PARTIES = (
    *TRANSFER,
    _OWNER.where(_HOLDERS.c.id == transfers.c.source_account_id).scalar_subquery().label("payer_id"),
    _OWNER.where(_HOLDERS.c.id == transfers.c.destination_account_id).scalar_subquery().label("payee_id"),
)

# The expression of the unique index: the account that a transaction_id is unique in.
TRANSACTION_ACCOUNT = "(CASE t.kind WHEN 'deposit' THEN t.destination_account_id ELSE t.source_account_id END)"

# Which transfers hold their transaction_id: the predicate of the unique index. One that ended without success does not.
HOLDS_TRANSACTION_ID = "t.transaction_id IS NOT NULL AND t.state NOT IN ('failed', 'cancelled', 'compensated')"

FIND_BY_TRANSACTION_ID = f"""
    SELECT {TRANSFER_COLUMNS} FROM transfers t
    WHERE {TRANSACTION_ACCOUNT} = $1 AND t.transaction_id = $2 AND {HOLDS_TRANSACTION_ID}
"""

Row = asyncpg.Record


def only(row: Row | None) -> Row:
    """The row of a statement that always returns one: an insert, or an update under the row's lock."""
    assert row is not None
    return row


def failure_of(row: Row) -> Failure | None:
    """The failure in a row with `failure_code`, `failure_message` and `failure_side`."""
    return Failure(row["failure_code"], row["failure_message"], row["failure_side"]) if row["failure_code"] else None


def transfer_of(row: Row) -> Transfer:
    """The transfer in a row selected with `TRANSFER_COLUMNS` or `TRANSFER`."""
    order = TransferOrder(
        transfer_id=row["t_id"],
        owner_id=row["t_owner_id"],
        idempotency_key=row["idempotency_key"],
        fingerprint=row["fingerprint"],
        kind=Kind(row["kind"]),
        source_account_id=row["source_account_id"],
        destination_account_id=row["destination_account_id"],
        amount_minor=row["amount_minor"],
        currency=row["t_currency"],
        workflow_id=row["workflow_id"],
        note=row["note"],
        transaction_id=row["transaction_id"],
        attempt=row["attempt"],
        reverses_transfer_id=row["reverses_transfer_id"],
        metadata=json.loads(row["metadata"]) if row["metadata"] else None,
        all_that_is_left=row["all_that_is_left"],
    )
    return Transfer(
        order=order,
        state=State(row["state"]),
        failure=failure_of(row),
        created_at=row["t_created_at"],
        updated_at=row["updated_at"],
        completed_at=row["completed_at"],
    )


def transfer_with_parties_of(row: Row) -> Transfer:
    """The same, in a row that has `payer_id` and `payee_id` too."""
    return replace(transfer_of(row), payer_id=row["payer_id"], payee_id=row["payee_id"])


def account_of(row: Row) -> Account:
    """The account in a row selected with `ACCOUNT_COLUMNS` or `ACCOUNT`."""
    return dataclass_of(Account, row, "a_")
