"""Customers' choices of channels in PostgreSQL. Whoever has chosen nothing has no row."""

from collections.abc import Sequence

from sqlalchemy import Column, ForeignKey, Table, Text, text
from sqlalchemy.dialects.postgresql import ARRAY

from database.connections import Database
from database.metadata import METADATA, Timestamp, required
from ledger.ids import CustomerId, NotificationId
from notifications.choices.choice import ChannelChoice, Letter
from notifications.notification import NotificationType, type_of

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


# Whoever is disabled is told by people.
_LETTERS = """
    SELECT n.id, n.occasion, n.body, c.email AS address, h.email AS chosen,
        c.email_verified_at IS NOT NULL AND c.disabled_at IS NULL AS may_be_reached
    FROM notifications n JOIN customers c ON c.id = n.customer_id
    LEFT JOIN notification_choices h ON h.customer_id = n.customer_id
    WHERE n.id = ANY ($1::text[])
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

    async def letters(self, ids: Sequence[NotificationId]) -> dict[NotificationId, Letter]:
        """These notifications with what their customers choose now, by id."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(_LETTERS, ids)
        return {
            row["id"]: Letter(
                row["id"],
                type_of(row["occasion"]),
                row["body"],
                row["address"],
                row["may_be_reached"],
                choice_in(row["chosen"]),
            )
            for row in rows
        }


def choice_in(email: list[str] | None) -> ChannelChoice:
    """The choice in a row; None: there is no row."""
    return ChannelChoice() if email is None else ChannelChoice(frozenset(map(NotificationType, email)))
