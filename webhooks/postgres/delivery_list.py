"""Deliveries of an endpoint as its owner sees them, each with its attempts."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, select

from database.rows import dataclass_of
from ledger.ids import EndpointId
from webhooks.endpoint import Delivery, DeliveryAttempt
from webhooks.postgres.tables import deliveries, delivery_queues

if TYPE_CHECKING:
    from database.connections import Connection

_DELIVERIES = deliveries.c

_ATTEMPTS = """
    SELECT event_id, number, attempted_at, milliseconds, status, error, response FROM delivery_attempts
    WHERE endpoint_id = $1 AND event_id = ANY ($2) ORDER BY event_id, attempted_at, number
"""

# The next attempt is that of the account's queue, whose first event waits for it.
LISTED = (
    select(
        *(_DELIVERIES[name] for name in ("endpoint_id", "event_id", "type", "state", "attempts", "created_at")),
        _DELIVERIES.ended_at,
        delivery_queues.c.next_attempt_at,
    )
    .select_from(
        deliveries.outerjoin(
            delivery_queues,
            (delivery_queues.c.endpoint_id == _DELIVERIES.endpoint_id)
            & (delivery_queues.c.partition_key == _DELIVERIES.partition_key)
            & _DELIVERIES.ended_at.is_(None),
        )
    )
    .where(_DELIVERIES.endpoint_id == bindparam("endpoint_id"))
)


async def with_attempts(
    connection: "Connection", endpoint_id: EndpointId, items: Sequence[dict[str, Any]]
) -> list[Delivery]:
    """These rows of `LISTED`, each with its attempts of the last 30 days, in order."""
    rows = await connection.fetch(_ATTEMPTS, endpoint_id, [item["event_id"] for item in items])
    tries: dict[str, list[DeliveryAttempt]] = {}
    for row in rows:
        tries.setdefault(row["event_id"], []).append(dataclass_of(DeliveryAttempt, row))
    return [
        dataclass_of(Delivery, item, tries=tuple(tries.get(item["event_id"], ())))  # type: ignore[arg-type]  # a mapping
        for item in items
    ]
