"""Customers' choices of channels in PostgreSQL. Whoever has chosen nothing has no row."""

from sqlalchemy import Column, ForeignKey, Table, Text, text
from sqlalchemy.dialects.postgresql import ARRAY

from database.connections import Database
from database.metadata import METADATA, Timestamp, required
from ledger.ids import CustomerId
from notifications.choices.choice import ChannelChoice
from notifications.notification import NotificationType

notification_choices = Table(
    "notification_choices",
    METADATA,
    Column("customer_id", Text, ForeignKey("customers.id"), primary_key=True),
    required("email", ARRAY(Text)),
    required("changed_at", Timestamp, server_default=text("clock_timestamp()")),
)

_READ = "SELECT email FROM notification_choices WHERE customer_id = $1"

_WRITE = """
    INSERT INTO notification_choices (customer_id, email) VALUES ($1, $2)
    ON CONFLICT (customer_id) DO UPDATE SET email = excluded.email, changed_at = clock_timestamp()
"""


class ChannelChoices:
    """All raise `Unavailable` where PostgreSQL gave no answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, customer_id: CustomerId) -> ChannelChoice:
        """What the customer chose, or what holds for everybody who chose nothing."""
        async with self._database.connection() as connection:
            return choice_in(await connection.fetchval(_READ, customer_id))

    async def write(self, customer_id: CustomerId, choice: ChannelChoice) -> None:
        """Set the customer's choice. Safe to repeat. The last one counts."""
        async with self._database.connection() as connection:
            await connection.execute(_WRITE, customer_id, sorted(choice.email))


def choice_in(email: list[str] | None) -> ChannelChoice:
    """The choice in a row; None: there is no row."""
    return ChannelChoice() if email is None else ChannelChoice(frozenset(map(NotificationType, email)))
