"""What is to be delivered to an endpoint, and what became of it. The rows are the truth: any step may be repeated.

The queue of an account holds up the events behind the first one that fails. Its row is locked by whoever adds to it and
by whoever empties it, so that neither misses the other.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from database.connections import Database
from database.encryption import Encryption
from database.rows import dataclass_of
from events.postgres.stream import event_of
from ledger.ids import EndpointId
from webhooks.endpoint import (
    EndpointState,
    Health,
    WebhookEndpoint,
)
from webhooks.postgres.attempt_records import Attempted, PendingDelivery, close_queues, judge, write_attempts
from webhooks.postgres.fan_out import COLUMNS, replay_next
from webhooks.signature import signing_secrets

if TYPE_CHECKING:
    pass

# So many events of one account are read at once.
MOST_OF_ACCOUNT = 50

# Nothing is sent to a disabled endpoint, nor to any of a disabled customer: their events are held.
IS_HELD = """(e.state = 'disabled'
        OR EXISTS (SELECT FROM customers c WHERE c.id = e.owner_id AND c.disabled_at IS NOT NULL))"""

_OPEN = f"""
    UPDATE webhook_endpoints e SET idle_until = NULL WHERE id = $1 AND deleted_at IS NULL
    RETURNING {COLUMNS}, {IS_HELD} AS held, secrets, former_until,
        replay_after IS NOT NULL AS replays, clock_timestamp() AS now
"""

# The workflow of a deleted endpoint ends, and nobody wakes it again.
_ENDS = "UPDATE webhook_endpoints SET idle_until = '-infinity' WHERE id = $1 AND deleted_at IS NOT NULL"

_DUE = """
    SELECT q.partition_key, d.event_id, d.type, d.position, d.attempts, d.failures, d.body
    FROM (
        SELECT partition_key FROM delivery_queues
        WHERE endpoint_id = $1 AND next_attempt_at <= statement_timestamp() AND partition_key <> ALL ($2::text[])
        ORDER BY next_attempt_at LIMIT $3
    ) q
    LEFT JOIN LATERAL (
        SELECT event_id, type, position, attempts, failures, body FROM deliveries
        WHERE endpoint_id = $1 AND partition_key = q.partition_key AND state = 'pending' ORDER BY position LIMIT $4
    ) d ON true
"""

EVENTS = "SELECT * FROM outbox_events WHERE position IS NOT NULL AND position = ANY ($1::bigint[])"

_NEXT = "SELECT min(next_attempt_at) FROM delivery_queues WHERE endpoint_id = $1"
_IDLE = "UPDATE webhook_endpoints SET idle_until = coalesce($2::timestamptz, 'infinity') WHERE id = $1"

_WAKE = f"""
    UPDATE webhook_endpoints SET idle_until = NULL WHERE id IN (
        SELECT e.id FROM webhook_endpoints e
        WHERE e.idle_until > '-infinity' AND (e.deleted_at IS NOT NULL OR (
            (e.resting_until IS NULL OR e.resting_until <= statement_timestamp())
            AND (e.replay_after IS NOT NULL OR EXISTS (
                SELECT FROM delivery_queues q
                WHERE q.endpoint_id = e.id AND q.next_attempt_at <= statement_timestamp()
                    AND q.next_attempt_at < e.idle_until))
            AND NOT {IS_HELD}))
        LIMIT 100 FOR NO KEY UPDATE SKIP LOCKED)
    RETURNING id
"""
_NOT_WOKEN = "UPDATE webhook_endpoints SET idle_until = 'infinity' WHERE id = ANY ($1) AND idle_until IS NULL"

_HAVE_NEWS = """
    SELECT id FROM unnest($1::text[]) AS waiting (id)
    WHERE EXISTS (
        SELECT FROM delivery_queues q WHERE q.endpoint_id = waiting.id AND q.next_attempt_at <= statement_timestamp())
    OR EXISTS (
        SELECT FROM webhook_endpoints e
        WHERE e.id = waiting.id AND (e.deleted_at IS NOT NULL OR e.replay_after IS NOT NULL))
"""

_IS_UNCHANGED = f"""
    SELECT EXISTS (
        SELECT FROM webhook_endpoints e
        WHERE id = $1 AND deleted_at IS NULL AND url = $2 AND secrets = $3 AND {IS_HELD} = $4
            AND (replay_after IS NOT NULL) = $5)
"""

# Whoever has a replay or a deletion to see to is idle, or at work; or its wake was lost. A further one does no harm.
_LEFT_ALONE = f"""
    SELECT e.id FROM webhook_endpoints e
    WHERE e.deleted_at IS NULL AND NOT {IS_HELD}
        AND (e.resting_until IS NULL OR e.resting_until < statement_timestamp() - make_interval(secs => $1))
        AND (EXISTS (
            SELECT FROM delivery_queues q WHERE q.endpoint_id = e.id
                AND q.next_attempt_at < statement_timestamp() - make_interval(secs => $1))
            OR (e.replay_after IS NOT NULL AND e.idle_until IS NULL))
        OR e.deleted_at < statement_timestamp() - make_interval(secs => $1) AND e.idle_until IS NULL
    ORDER BY e.id
"""


@dataclass(frozen=True, slots=True)
class AccountQueue:
    """The next events of one account, in their order. There may be none left."""

    partition_key: str
    deliveries: tuple[PendingDelivery, ...]


@dataclass(frozen=True, slots=True)
class OpenEndpoint:
    """An endpoint that is being delivered to, with the secrets that sign, and PostgreSQL's time. `held`: gets none."""

    endpoint: WebhookEndpoint
    held: bool
    keys: tuple[str, ...]
    encrypted: str
    replays: bool
    now: datetime


class OutgoingEvents:
    """All raise `Unavailable` where PostgreSQL gave no answer, and `EncryptionKeyMissing` without a secret's key."""

    def __init__(self, database: Database, encryption: Encryption) -> None:
        self._database = database
        self._encryption = encryption

    async def open(self, endpoint_id: EndpointId) -> OpenEndpoint | None:
        """The endpoint, which counts as being worked on from now on; None: it was deleted."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(_OPEN, endpoint_id)
            if row is None:
                await connection.execute(_ENDS, endpoint_id)
                return None
        kept = self._encryption.decrypt(row["secrets"], secrets_context(endpoint_id))
        signing = signing_secrets(kept, row["former_until"], row["now"])
        endpoint = dataclass_of(WebhookEndpoint, row)
        return OpenEndpoint(endpoint, row["held"], signing, row["secrets"], row["replays"], row["now"])

    async def is_unchanged(self, opened: OpenEndpoint) -> bool:
        """Whether what was opened is still how to reach the endpoint."""
        endpoint = opened.endpoint
        values = (endpoint.id, endpoint.url, opened.encrypted, opened.held, opened.replays)
        async with self._database.connection() as connection:
            return bool(await connection.fetchval(_IS_UNCHANGED, *values))

    async def due(self, endpoint_id: EndpointId, busy: Collection[str], most: int) -> list[AccountQueue]:
        """The queues that have waited longest for their turn, at most so many, without those that are busy."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(_DUE, endpoint_id, list(busy), most, MOST_OF_ACCOUNT)
            wanted = [row["position"] for row in rows if row["event_id"] is not None and row["body"] is None]
            found = await connection.fetch(EVENTS, wanted) if wanted else []
        events = {row["position"]: event_of(row) for row in found}
        queues: dict[str, list[PendingDelivery]] = {}
        for row in rows:
            queue = queues.setdefault(row["partition_key"], [])
            if row["event_id"] is not None:
                event = None if row["body"] is not None else events.get(row["position"])
                queue.append(dataclass_of(PendingDelivery, row, event=event, body=_json(row["body"])))
        return [AccountQueue(key, tuple(found)) for key, found in queues.items()]

    async def record(self, endpoint_id: EndpointId, attempts: Sequence[Attempted], finished: Collection[str]) -> Health:
        """Record these attempts and what follows, in one transaction. A repeat changes nothing.

        `finished` are the queues that nobody works on any more. Returns how the endpoint does now.
        """
        async with self._database.transaction() as connection:
            health = await judge(connection, endpoint_id, attempts)
            await write_attempts(connection, endpoint_id, attempts)
            await close_queues(connection, endpoint_id, attempts, finished)
        return health

    async def go_idle(self, endpoint_id: EndpointId, health: Health, *, held: bool) -> datetime | None:
        """Note when there is something to do again, unless something new comes; None: nothing is known of.

        It may be past: then something has come meanwhile. What comes later is found by `wake`.
        """
        until = None
        async with self._database.connection() as connection:
            if health.state is not EndpointState.DISABLED and not held:
                until = await connection.fetchval(_NEXT, endpoint_id)
                if until is not None and health.resting_until is not None:
                    until = max(until, health.resting_until)
            await connection.execute(_IDLE, endpoint_id, until)
        return until

    async def wake(self) -> list[EndpointId]:
        """The idle endpoints that have something to do, at most 100. They count as being worked on from now on."""
        async with self._database.connection() as connection:
            return [EndpointId(row["id"]) for row in await connection.fetch(_WAKE)]

    async def not_woken(self, endpoint_ids: Sequence[EndpointId]) -> None:
        """Nobody works on these after all."""
        async with self._database.connection() as connection:
            await connection.execute(_NOT_WOKEN, list(endpoint_ids))

    async def with_news(self, endpoint_ids: Sequence[EndpointId]) -> list[EndpointId]:
        """Those of these endpoints that have something due."""
        async with self._database.connection() as connection:
            return [EndpointId(row["id"]) for row in await connection.fetch(_HAVE_NEWS, list(endpoint_ids))]

    async def left_alone(self, for_seconds: int) -> list[EndpointId]:
        """Endpoints with something due for so long, a replay or a deletion. Some may be at work on it."""
        async with self._database.connection() as connection:
            return [EndpointId(row["id"]) for row in await connection.fetch(_LEFT_ALONE, for_seconds)]

    async def replay_next(self, endpoint_id: EndpointId) -> None:
        """Add the next events of a replay to the queues, if there is one."""
        async with self._database.transaction() as connection:
            await replay_next(connection, endpoint_id)


def secrets_context(endpoint_id: str) -> str:
    """What the secrets of an endpoint are bound to."""
    return f"webhook_endpoints.secrets/{endpoint_id}"


def _json(text: str | None) -> dict[str, Any] | None:
    return json.loads(text) if text is not None else None
