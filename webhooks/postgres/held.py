"""What was held for a disabled endpoint for too long becomes a dead letter: so old months of events can be dropped.

A letter keeps the event as the endpoint would have got it, so staff can send it again whatever became of its month.
"""

import json
from typing import TYPE_CHECKING, Any

from database.connections import Database
from events.dead_letter import Undelivered
from events.postgres.dead_letters import bury
from events.postgres.stream import event_of
from ledger.ids import CustomerId, EndpointId
from notifications.postgres import write_notification
from webhooks.endpoint import HELD_DAYS, TEST_TYPE, given_up
from webhooks.payload import payload_of
from webhooks.postgres.attempt_records import close_queues
from webhooks.postgres.fan_out import SOURCE
from webhooks.postgres.outbound import EVENTS, IS_HELD

if TYPE_CHECKING:
    import asyncpg

    from database.connections import Connection

REASON = f"held for {HELD_DAYS} days: its endpoint was disabled"

# So many become letters in one transaction.
BATCH = 200

_LONG = f"created_at < statement_timestamp() - interval '{HELD_DAYS} days'"

# The endpoint's row is locked before its deliveries and queues, as by whoever sends; whoever enables it waits.
_ENDPOINT = f"""
    SELECT e.id, e.owner_id, e.url, to_char(statement_timestamp(), 'YYYY-MM') AS month FROM webhook_endpoints e
    WHERE e.deleted_at IS NULL AND {IS_HELD} AND EXISTS (
        SELECT FROM deliveries d WHERE d.endpoint_id = e.id AND d.state = 'pending' AND d.{_LONG})
    ORDER BY e.id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
"""
_LONG_HELD = f"""
    SELECT event_id, type, partition_key, position, attempts, body FROM deliveries
    WHERE endpoint_id = $1 AND state = 'pending' AND {_LONG} ORDER BY created_at, event_id LIMIT $2
    FOR NO KEY UPDATE
"""
_END = """
    UPDATE deliveries SET state = 'dead', ended_at = clock_timestamp()
    WHERE endpoint_id = $1 AND event_id = ANY ($2::text[])
"""


async def give_up_long_held(database: Database) -> int:
    """Bury what was held for `HELD_DAYS`, and tell the owner; how many deliveries that were.

    Safe to run in every process, and to repeat. Raises `Unavailable` where PostgreSQL gave no answer.
    """
    ended = 0
    while True:
        async with database.transaction() as connection:
            endpoint = await connection.fetchrow(_ENDPOINT)
            if endpoint is None:
                return ended
            ended += await _give_up(connection, endpoint["id"], endpoint["owner_id"])
            if endpoint["owner_id"] is not None:
                # Events fall out of their time hour by hour: one notice a month tells of all of them.
                occasion = f"{endpoint['id']}/given-up/{endpoint['month']}"
                text = given_up(endpoint["id"], endpoint["url"])
                await write_notification(connection, endpoint["owner_id"], occasion, text)


async def _give_up(connection: "Connection", endpoint_id: EndpointId, owner_id: CustomerId | None) -> int:
    rows = await connection.fetch(_LONG_HELD, endpoint_id, BATCH)
    events = {
        row["position"]: event_of(row) for row in await connection.fetch(EVENTS, [row["position"] for row in rows])
    }

    def body(row: "asyncpg.Record") -> dict[str, Any]:
        if row["body"] is not None:
            return dict(json.loads(row["body"]))
        payload = payload_of(events[row["position"]], owner_id) if row["position"] in events else None
        return payload.body if payload else {"id": row["event_id"], "type": row["type"]}

    await connection.execute(_END, endpoint_id, [row["event_id"] for row in rows])
    for row in rows:
        if row["type"] != TEST_TYPE:
            await bury(
                connection,
                Undelivered(
                    source=SOURCE,
                    reason=REASON,
                    body=body(row),
                    attempts=row["attempts"],
                    target=endpoint_id,
                    event_id=row["event_id"],
                    type=row["type"],
                    partition_key=row["partition_key"],
                ),
            )
    await close_queues(connection, endpoint_id, (), sorted({row["partition_key"] for row in rows}))
    return len(rows)
