"""What is sent once more: the events since a moment, and those that died. Positions say from where to where."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from events.dead_letter import DeadLetter

if TYPE_CHECKING:
    from database.connections import Connection

# Whoever adds to a queue makes its next attempt due.
QUEUE = """
    INSERT INTO delivery_queues AS q (endpoint_id, partition_key)
    SELECT DISTINCT * FROM unnest($1::text[], $2::text[]) AS queued (endpoint_id, partition_key) ORDER BY 1, 2
    ON CONFLICT (endpoint_id, partition_key) DO UPDATE SET next_attempt_at = statement_timestamp()
"""

# What the fan-out has not reached comes anyway, behind all that is sent again.
_HEAD = """
    SELECT dropped_through, least(last, coalesce((SELECT position FROM sinks WHERE name = 'webhooks'), 0)) AS last
    FROM event_head
"""
_MOMENT = "SELECT occurred_at FROM outbox_events WHERE position IS NOT NULL AND position = $1"

# The letters of an endpoint that was deleted stay where they are. What the outbox no longer has goes as the letter
# kept it, if it has more than the event's name: what was never sent has not.
_SEND_AGAIN = """
    INSERT INTO deliveries AS d (endpoint_id, event_id, type, partition_key, position, body)
    SELECT w.id, l.event_id, l.type, coalesce(e.partition_key, l.event_id), coalesce(e.position, 0),
        CASE WHEN e.position IS NULL THEN l.body END
    FROM unnest($1::text[], $2::text[], $3::text[], $4::jsonb[]) AS l (endpoint_id, event_id, type, body)
    JOIN webhook_endpoints w ON w.id = l.endpoint_id AND w.deleted_at IS NULL
    LEFT JOIN outbox_events e ON e.event_id = l.event_id AND e.position IS NOT NULL
    WHERE e.position IS NOT NULL OR l.body ? 'specversion'
    ON CONFLICT (endpoint_id, event_id) DO UPDATE SET state = 'pending', ended_at = NULL,
        failures = CASE WHEN d.state = 'pending' THEN d.failures ELSE 0 END, body = coalesce(d.body, excluded.body)
    RETURNING endpoint_id, event_id, partition_key
"""

# Positions are given out within moments of the events, not in exactly the order of their times.
_OUT_OF_ORDER = timedelta(seconds=10)


async def send_dead_again(connection: "Connection", letters: Sequence[DeadLetter]) -> list[str]:
    """Queue events that died once more, each for the endpoint where it died: the `Replayer` of webhooks.

    It takes no letter of an endpoint that was deleted, and none that has lost its event.
    """
    queued = await connection.fetch(
        _SEND_AGAIN,
        [letter.target for letter in letters],
        [letter.event_id for letter in letters],
        [letter.type for letter in letters],
        [json.dumps(letter.body) for letter in letters],
    )
    await connection.execute(QUEUE, [row["endpoint_id"] for row in queued], [row["partition_key"] for row in queued])
    taken = {(row["endpoint_id"], row["event_id"]) for row in queued}
    return [letter.id for letter in letters if (letter.target, letter.event_id) in taken]


async def positions_since(connection: "Connection", since: datetime) -> tuple[int, int]:
    """The last position before this moment, and the last that was fanned out.

    Events have the order of their times, nearly.
    """
    row = await connection.fetchrow(_HEAD)
    assert row is not None, "the migration writes it"
    low, through = row["dropped_through"], row["last"]
    high = through
    while low < high:
        middle = (low + high + 1) // 2
        moment = await connection.fetchval(_MOMENT, middle)
        if moment is None or moment < since - _OUT_OF_ORDER:
            low = middle
        else:
            high = middle - 1
    return low, through
