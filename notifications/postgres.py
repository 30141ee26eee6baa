"""Messages to customers, in a table that a mailer may read."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sqlalchemy import Column, ForeignKey, SmallInteger, Table, Text, text

from database.connections import Database
from database.metadata import METADATA, Timestamp, required
from ledger.ids import AccountId, CustomerId
from ledger.transfers import Step

if TYPE_CHECKING:
    from database.connections import Connection

messages = Table(
    "messages",
    METADATA,
    Column("transfer_id", Text, ForeignKey("transfers.id"), primary_key=True),
    Column("attempt", SmallInteger, primary_key=True),
    Column("account_id", Text, ForeignKey("accounts.id"), primary_key=True),
    Column("occasion", Text, primary_key=True, server_default="ended"),
    required("customer_id", Text, ForeignKey("customers.id")),
    required("body", Text),
    required("created_at", Timestamp, server_default=text("clock_timestamp()")),
)

# What concerns a customer and no transfer: one message for each occasion.
customer_messages = Table(
    "customer_messages",
    METADATA,
    Column("customer_id", Text, ForeignKey("customers.id"), primary_key=True),
    Column("occasion", Text, primary_key=True),
    required("body", Text),
    required("created_at", Timestamp, server_default=text("clock_timestamp()")),
)

_WRITE_CUSTOMER_MESSAGE = """
    INSERT INTO customer_messages (customer_id, occasion, body) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING
"""

# Only whoever asked for a reversal reads that it took nothing: its other party need not know that staff tried.
_WRITE = """
    INSERT INTO messages (transfer_id, attempt, account_id, customer_id, body)
    SELECT $1, $2, a.id, a.owner_id, told.body
    FROM unnest($3::text[], $4::text[]) AS told (account_id, body) JOIN accounts a ON a.id = told.account_id
    JOIN transfers t ON t.id = $1
    WHERE (t.kind <> 'reversal' OR t.owner_id = a.owner_id OR t.state IN ('completed', 'compensated'))
    ON CONFLICT DO NOTHING
"""


class Messages:
    """All raise `Unavailable` where PostgreSQL gave no answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def write(self, step: Step, bodies: Mapping[AccountId, str]) -> None:
        """Write each account's owner their message about how this attempt ended. A repeat writes none."""
        async with self._database.connection() as connection:
            await connection.execute(_WRITE, step.transfer_id, step.attempt, list(bodies), list(bodies.values()))


async def write_customer_message(connection: "Connection", customer_id: CustomerId, occasion: str, body: str) -> None:
    """Write a customer their message in the transaction of what it is about. A second one of an occasion is skipped."""
    await connection.execute(_WRITE_CUSTOMER_MESSAGE, customer_id, occasion, body)
