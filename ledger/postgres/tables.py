"""The tables of the books, for statements that SQLAlchemy Core builds. What moves money is text: see `postings.py`."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Computed,
    Date,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    and_,
    literal_column,
    not_,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from database.metadata import METADATA, Timestamp, required
from database.statements import one_of
from ledger.transfers import Kind, Leg, State

accounts = Table(
    "accounts",
    METADATA,
    Column("id", Text, primary_key=True),
    required("owner_id", Text, ForeignKey("customers.id")),
    required("currency", Text),
    required("status", Text, server_default="active"),
    required("tier", SmallInteger, server_default="1"),
    required("balance_minor", BigInteger, server_default="0"),
    required("version", BigInteger, server_default="0"),
    required("head_hash", LargeBinary),
    required("created_at", Timestamp, server_default=text("now()")),
    required("held_minor", BigInteger, server_default="0"),
    required("number", Text, server_default=text("new_account_number()")),
    Column("name", Text),
    Column("frozen", Text),
    required("overdraft_minor", BigInteger, server_default="0"),
    Column("spent_on", Date),
    required("spent_day_minor", BigInteger, server_default="0"),
    required("spent_month_minor", BigInteger, server_default="0"),
    required("owner_verified", Boolean, server_default=text("false")),
    UniqueConstraint("owner_id", "currency"),
)

transfers = Table(
    "transfers",
    METADATA,
    Column("id", Text, primary_key=True),
    required("owner_id", Text, ForeignKey("customers.id")),
    required("idempotency_key", Text),
    required("fingerprint", Text),
    required("kind", Text),
    required("source_account_id", Text),
    required("destination_account_id", Text),
    required("amount_minor", BigInteger),
    required("currency", Text),
    Column("note", Text),
    Column("transaction_id", Text),
    Column("reverses_transfer_id", Text, ForeignKey("transfers.id")),
    Column("metadata", JSONB),
    required("all_that_is_left", Boolean, server_default=text("false")),
    required("workflow_id", Text),
    required("state", Text, server_default="initiated"),
    required("attempt", SmallInteger, server_default="1"),
    Column("failure_code", Text),
    Column("failure_message", Text),
    Column("failure_side", Text),
    required("created_at", Timestamp, server_default=text("clock_timestamp()")),
    required("updated_at", Timestamp, server_default=text("clock_timestamp()")),
    Column("completed_at", Timestamp),
    Column("screened_by", Text),
    Column("request_id", Text),
)

NOT_FINAL = one_of(transfers.c.state, (state for state in State if not state.is_final))
WITHOUT_SUCCESS = one_of(transfers.c.state, (State.FAILED, State.CANCELLED, State.COMPENSATED))

# Most transfers complete. These do not, and have indexes of their own, which cost a completed transfer nothing.
IS_COMPLETED = one_of(transfers.c.state, [State.COMPLETED])
ENDED_OTHERWISE = one_of(transfers.c.state, (state for state in State if state.is_final and state != State.COMPLETED))
RARE_KIND = transfers.c.kind != literal_column(f"'{Kind.TRANSFER}'", Text)

Index("accounts_by_number", accounts.c.number, unique=True)
# Few accounts are frozen or closed. Staff find their owners.
Index(
    "accounts_not_active",
    accounts.c.status,
    accounts.c.owner_id,
    postgresql_where=accounts.c.status != text("'active'"),
)
Index("accounts_by_time", accounts.c.created_at)

# Each list has an index on the columns that it fixes, then on its order.
_LISTED = (transfers.c.created_at.desc(), transfers.c.id.desc())
Index("transfers_by_source", transfers.c.source_account_id, *_LISTED)
Index("transfers_by_destination", transfers.c.destination_account_id, *_LISTED)
Index("transfers_by_time", *_LISTED)
Index(
    "transfers_by_reversed",
    transfers.c.reverses_transfer_id,
    *_LISTED,
    postgresql_where=transfers.c.reverses_transfer_id.is_not(None),
)
Index("transfers_not_final", transfers.c.created_at, postgresql_where=NOT_FINAL)
# Plain transfers have none, so they do not pay for it.
Index(
    "transfers_by_transaction_id",
    transfers.c.transaction_id,
    *_LISTED,
    postgresql_where=transfers.c.transaction_id.is_not(None),
)
Index("transfers_by_rare_kind", transfers.c.kind, *_LISTED, postgresql_where=RARE_KIND)
Index("transfers_ended_otherwise_by_time", *_LISTED, postgresql_where=ENDED_OTHERWISE)
Index("transfers_ended_otherwise", transfers.c.state, *_LISTED, postgresql_where=ENDED_OTHERWISE)
Index(
    "transfers_ended_otherwise_by_source",
    transfers.c.source_account_id,
    *_LISTED,
    postgresql_where=ENDED_OTHERWISE,
)
Index(
    "transfers_ended_otherwise_by_destination",
    transfers.c.destination_account_id,
    *_LISTED,
    postgresql_where=ENDED_OTHERWISE,
)
Index("transfers_ended_otherwise_by_owner", transfers.c.owner_id, *_LISTED, postgresql_where=ENDED_OTHERWISE)
Index("transfers_ended_otherwise_by_currency", transfers.c.currency, *_LISTED, postgresql_where=ENDED_OTHERWISE)
Index("transfers_ended_otherwise_by_amount", transfers.c.amount_minor, *_LISTED, postgresql_where=ENDED_OTHERWISE)
# Written once in the life of a transfer, when it completes.
Index("transfers_completed_by_owner", transfers.c.owner_id, *_LISTED, postgresql_where=IS_COMPLETED)
Index("transfers_completed_by_currency", transfers.c.currency, *_LISTED, postgresql_where=IS_COMPLETED)
Index("transfers_completed_by_amount", transfers.c.amount_minor, *_LISTED, postgresql_where=IS_COMPLETED)
Index(
    "transfers_transaction_id",
    # As PostgreSQL prints it, lines included: the test that compares the schema compares this text.
    text("(\nCASE kind\n    WHEN 'deposit' THEN destination_account_id\n    ELSE source_account_id\nEND)"),
    transfers.c.transaction_id,
    unique=True,
    postgresql_where=and_(transfers.c.transaction_id.is_not(None), not_(WITHOUT_SUCCESS)),
)

holds = Table(
    "holds",
    METADATA,
    Column("transfer_id", Text, ForeignKey("transfers.id"), primary_key=True),
    required("account_id", Text, ForeignKey("accounts.id")),
    required("amount_minor", BigInteger),
    required("used_minor", BigInteger, server_default=text("0")),
    required("held_at", Timestamp, server_default=text("clock_timestamp()")),
    required("used_by", JSONB, server_default=text("'{}'::jsonb")),  # the parts of `used_minor`, by reversal
)
Index("holds_by_account", holds.c.account_id)

keys = Table(
    "keys",
    METADATA,
    Column("owner_id", Text, primary_key=True),
    Column("idempotency_key", Text, primary_key=True),
    Column("transfer_id", Text, ForeignKey("transfers.id")),  # None: a request that moves no money, see `answers`
    required("recorded_at", Timestamp, server_default=text("clock_timestamp()")),
)
Index("keys_by_time", keys.c.recorded_at, postgresql_using="brin")

attempts = Table(
    "attempts",
    METADATA,
    Column("transfer_id", Text, ForeignKey("transfers.id"), primary_key=True),
    Column("attempt", SmallInteger, primary_key=True),
    required("state", Text),
    Column("failure_code", Text),
    Column("failure_message", Text),
    Column("failure_side", Text),
    required("workflow_id", Text),
    required("ended_at", Timestamp),
    Column("retried_at", Timestamp),  # when the next attempt began
)

abandonments = Table(
    "abandonments",
    METADATA,
    Column("transfer_id", Text, ForeignKey("transfers.id"), primary_key=True),
    Column("attempt", SmallInteger, primary_key=True),
    required("workflow_id", Text),
    required("run_id", Text),
    required("reason", Text),
    required("state_before", Text),
    required("state_after", Text),
    required("recorded_at", Timestamp, server_default=text("clock_timestamp()")),
)

postings = Table(
    "postings",
    METADATA,
    Column("transfer_id", Text, ForeignKey("transfers.id"), primary_key=True),
    Column("attempt", SmallInteger, primary_key=True),
    Column("leg", Text, primary_key=True),
    required("id", Text, Computed("'pst_' || substr(transfer_id, 5) || '_' || attempt::text || '_' || leg", True)),
    required("debit_account_id", Text),
    required("credit_account_id", Text),
    required("amount_minor", BigInteger),
    required("currency", Text),
    required("recorded_at", Timestamp),
)
# Rows are appended in the order of their time, so the smallest and largest time of each few pages find a period.
Index("postings_by_time", postings.c.recorded_at, postgresql_using="brin")

entries = Table(
    "entries",
    METADATA,
    Column("account_id", Text, ForeignKey("accounts.id"), primary_key=True),
    Column("version", BigInteger, primary_key=True),
    required("transfer_id", Text),
    required("attempt", SmallInteger),
    required("leg", Text),
    required("amount_minor", BigInteger),
    required("balance_before", BigInteger),
    required("balance_after", BigInteger),
    required("recorded_at", Timestamp),
    required("hash", LargeBinary),
    ForeignKeyConstraint(
        ["transfer_id", "attempt", "leg"], ["postings.transfer_id", "postings.attempt", "postings.leg"]
    ),
)
Index("entries_by_transfer", entries.c.transfer_id)
# Few entries are refunds. An entry of a plain transfer does not pay for it.
Index(
    "entries_refunds",
    entries.c.account_id,
    entries.c.version.desc(),
    postgresql_where=one_of(entries.c.leg, [Leg.REFUND]),
)

# What is settled is counted here; the functions of the migrations write it, and the application only reads it.
settled_totals = Table(
    "settled_totals",
    METADATA,
    Column("currency", Text, primary_key=True),
    required("accounts", BigInteger),
    required("entries", BigInteger),
    required("customers_minor", BigInteger),
    required("clearing_minor", BigInteger),
    required("world_minor", BigInteger),
)

settled_transfers = Table(
    "settled_transfers",
    METADATA,
    Column("minute", Timestamp, primary_key=True),
    required("transfers", BigInteger),
)

totals_position = Table(
    "totals_position",
    METADATA,
    Column("one", Boolean, primary_key=True, server_default=text("true")),
    required("counted_until", Timestamp),
    required("settled_until", Timestamp),
    Column("candidate_until", Timestamp),
    Column("candidate_xid", BigInteger),
)

# Totals of an account up to one of its entries. Only functions of the migrations write them.
account_snapshots = Table(
    "account_snapshots",
    METADATA,
    Column("account_id", Text, ForeignKey("accounts.id"), primary_key=True),
    Column("version", BigInteger, primary_key=True),
    required("balance_minor", BigInteger),
    required("hash", LargeBinary),
    required("recorded_at", Timestamp),
    required("deposits", BigInteger),
    required("deposited_minor", BigInteger),
    required("withdrawals", BigInteger),
    required("withdrawn_minor", BigInteger),
    required("incoming", BigInteger),
    required("incoming_minor", BigInteger),
    required("outgoing", BigInteger),
    required("outgoing_minor", BigInteger),
)

snapshots_position = Table(
    "snapshots_position",
    METADATA,
    Column("one", Boolean, primary_key=True, server_default=text("true")),
    required("looked_until", Timestamp, server_default=text("clock_timestamp()")),
)

audited_heads = Table(
    "audited_heads",
    METADATA,
    Column("account_id", Text, primary_key=True),
    required("version", BigInteger),
    required("balance_minor", BigInteger),
    required("hash", LargeBinary),
    required("audited_at", Timestamp, server_default=text("clock_timestamp()")),
    Column("spent_on", Date),
    required("spent_day_minor", BigInteger, server_default="0"),
    required("spent_month_minor", BigInteger, server_default="0"),
)

audits = Table(
    "audits",
    METADATA,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    required("is_full", Boolean),
    required("began_at", Timestamp),
    required("ended_at", Timestamp, server_default=text("clock_timestamp()")),
    required("findings", BigInteger),
    required("audited_until", Timestamp),
)
