"""The sink `webhooks`: a row for each endpoint that is to get an event, in the transaction of the sink's position."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from database.rows import dataclass_of
from events.event import Event
from events.postgres.stream import read_after
from events.views import as_seen_by
from webhooks.endpoint import WebhookEndpoint

if TYPE_CHECKING:
    from database.connections import Connection

# The name of the sink, and where dead letters say that they died.
SOURCE = "webhooks"

COLUMNS = "id, owner_id, url, types, state, disabled_by, failures, failing_since, warned_at, resting_until, created_at"

# So many events are looked at in one step of a replay.
REPLAY_STEP = 500

_CONCERNED = f"""
    SELECT {COLUMNS} FROM webhook_endpoints
    WHERE deleted_at IS NULL AND (owner_id IS NULL OR owner_id = ANY ($1::text[]))
        AND (types = '{{}}' OR types && $2::text[])
"""

# Sorted, so that two who add to the same queues lock them in the same order.
_ADD = """
    WITH added AS (
        SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[])
            AS a (endpoint_id, event_id, type, partition_key, position)
    ), queued AS (
        INSERT INTO delivery_queues AS q (endpoint_id, partition_key)
        SELECT DISTINCT endpoint_id, partition_key FROM added ORDER BY endpoint_id, partition_key
        ON CONFLICT (endpoint_id, partition_key) DO UPDATE SET next_attempt_at = q.next_attempt_at
    )
    INSERT INTO deliveries AS d (endpoint_id, event_id, type, partition_key, position)
    SELECT endpoint_id, event_id, type, partition_key, position FROM added
    ON CONFLICT (endpoint_id, event_id) DO {again}
"""
_ADD_NEW = _ADD.format(again="NOTHING")
_ADD_AGAIN = _ADD.format(again="UPDATE SET state = 'pending', failures = 0, ended_at = NULL WHERE d.state <> 'pending'")

_REPLAY = f"""
    SELECT {COLUMNS}, replay_after, replay_through, replay_since FROM webhook_endpoints
    WHERE id = $1 AND replay_after IS NOT NULL FOR NO KEY UPDATE
"""
_REPLAYED = """
    UPDATE webhook_endpoints SET replay_after = $2,
        replay_through = CASE WHEN $2::bigint IS NOT NULL THEN replay_through END,
        replay_since = CASE WHEN $2::bigint IS NOT NULL THEN replay_since END
    WHERE id = $1
"""


class WebhookFanOut:
    """Adds each event to the queues of the endpoints that want it. `poke` lets whoever wakes endpoints look at once."""

    def __init__(self, poke: Callable[[], None]) -> None:
        self._poke = poke
        self._has_added = False

    @property
    def name(self) -> str:
        """The name of its row."""
        return SOURCE

    async def apply(self, connection: "Connection", events: Sequence[Event]) -> None:
        """Add these events. An endpoint gets what happened after it was made."""
        seen_by = sorted({customer_id for event in events for customer_id in event.audience})
        rows = await connection.fetch(_CONCERNED, seen_by, sorted({event.type.value for event in events}))
        endpoints = [dataclass_of(WebhookEndpoint, row) for row in rows]
        wanted = [
            (endpoint, event)
            for endpoint in endpoints
            for event in events
            if event.occurred_at >= endpoint.created_at and _is_for(endpoint, event)
        ]
        if wanted:
            await _add(connection, _ADD_NEW, wanted)
            self._has_added = True

    def committed(self) -> None:
        """Have the endpoints woken, now that others can see what was added."""
        if self._has_added:
            self._has_added = False
            self._poke()


async def replay_next(connection: "Connection", endpoint_id: str) -> None:
    """Add the next events of the endpoint's replay to its queues once more, in this transaction."""
    row = await connection.fetchrow(_REPLAY, endpoint_id)
    if row is None:
        return
    endpoint, through, since = dataclass_of(WebhookEndpoint, row), row["replay_through"], row["replay_since"]
    events = await read_after(connection, row["replay_after"], REPLAY_STEP)
    wanted = [
        (endpoint, event)
        for event in events
        if event.position <= through and event.occurred_at >= since and _is_for(endpoint, event)
    ]
    if wanted:
        await _add(connection, _ADD_AGAIN, wanted)
    is_over = not events or events[-1].position >= through
    await connection.execute(_REPLAYED, endpoint_id, None if is_over else events[-1].position)


def _is_for(endpoint: WebhookEndpoint, event: Event) -> bool:
    return endpoint.wants(event.type) and as_seen_by(event, endpoint.owner_id) is not None


async def _add(connection: "Connection", statement: str, wanted: Sequence[tuple[WebhookEndpoint, Event]]) -> None:
    await connection.execute(
        statement,
        [endpoint.id for endpoint, _ in wanted],
        [event.event_id for _, event in wanted],
        [event.type.value for _, event in wanted],
        [event.partition_key for _, event in wanted],
        [event.position for _, event in wanted],
    )
