"""The counts of requests that all processes share. The table is not logged: a crash empties it."""

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Column, Integer, Table, Text

from api.limits.rate_limits import RateKey
from database.connections import Database
from database.metadata import METADATA, Timestamp, required

rate_windows = Table(
    "rate_windows",
    METADATA,
    Column("policy", Text, primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("began_at", Timestamp, primary_key=True),
    required("hits", Integer),
)

# In one order, so that two processes never wait for each other.
_ADD = """
    INSERT INTO rate_windows AS w (policy, subject, began_at, hits)
    SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::int[]) ORDER BY 1, 2, 3
    ON CONFLICT (policy, subject, began_at) DO UPDATE SET hits = w.hits + EXCLUDED.hits
    RETURNING policy, subject, began_at, hits
"""

_FORGET = "DELETE FROM rate_windows WHERE began_at < $1"


@dataclass(frozen=True, slots=True)
class RateWindows:
    """The table of the counts."""

    database: Database

    async def add(self, hits: dict[RateKey, int]) -> dict[RateKey, int]:
        """Add these hits. Returns the sum of all processes for each. Raises `Unavailable` without an answer."""
        keys = list(hits)
        columns = (
            [key.policy for key in keys],
            [key.subject for key in keys],
            [datetime.fromtimestamp(key.began, UTC) for key in keys],
            list(hits.values()),
        )
        async with self.database.connection() as connection:
            rows = await connection.fetch(_ADD, *columns)
        return {RateKey(row["policy"], row["subject"], int(row["began_at"].timestamp())): row["hits"] for row in rows}

    async def forget(self, before: int) -> None:
        """Delete windows that began before this second since 1970."""
        async with self.database.connection() as connection:
            await connection.execute(_FORGET, datetime.fromtimestamp(before, UTC))
