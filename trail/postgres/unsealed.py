"""How long the records of the trails have waited for their seals."""

from database.connections import Database
from trail.postgres.tables import TRAILS

_LONGEST = """
    SELECT coalesce(ceil(extract(epoch FROM clock_timestamp() - first.recorded_at)), 0)::bigint
    FROM trail_positions p
    LEFT JOIN LATERAL (
        SELECT r.recorded_at FROM {trail} r WHERE r.id > p.sealed_through ORDER BY r.id LIMIT 1
    ) first ON true
    WHERE p.trail = $1
"""


class UnsealedReads:
    """Raises `Unavailable` where PostgreSQL gave no answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def longest_seconds(self) -> dict[str, int]:
        """By trail, the age of the oldest record without a seal, rounded up; 0: all are sealed.

        A worker seals every minute, behind the transactions that run: what is older waits for a transaction that
        somebody has left open, or no worker runs.
        """
        async with self._database.connection() as connection:
            return {trail: await connection.fetchval(_LONGEST.format(trail=trail), trail) for trail in TRAILS}
