"""The effect of the example: a count of events by their type, in a schema of its own.

An effect writes on the connection that it is given, which is in a transaction, and does nothing else anywhere.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from brokers.consumers.postgres import Connection, Effect

# The name of the effect: each event has it once, whichever broker it comes by.
CONSUMER = "example-worker"

# Two that start at once wait for each other.
COUNTS = """
    SELECT pg_advisory_xact_lock(hashtext('example_worker'));
    CREATE SCHEMA IF NOT EXISTS example_worker;
    CREATE TABLE IF NOT EXISTS example_worker.event_counts (type text PRIMARY KEY, events bigint NOT NULL);
"""

_COUNT = """
    INSERT INTO example_worker.event_counts AS c (type, events) VALUES ($1, 1)
    ON CONFLICT (type) DO UPDATE SET events = c.events + 1 RETURNING events
"""

Say = Callable[[str], None]


def count_and(say: Say) -> "Effect":
    """One more event of its type. `say` tells of it, and may tell of an event once more that was not committed."""

    async def count(connection: "Connection", event: Mapping[str, Any]) -> None:
        events = await connection.fetchval(_COUNT, event["type"])
        say(f"{event['type']} {event.get('subject', '')}: number {events} of its type ({event['id']})")

    return count
