"""Writes what became of attempts: how their deliveries and queues stand, and how the endpoint does.

All of it is part of the caller's transaction, which locks the endpoint first, then deliveries, then queues.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from database.rows import dataclass_of
from events.dead_letter import Undelivered
from events.event import Event
from events.postgres.dead_letters import bury
from ledger.ids import EndpointId
from notifications.postgres import write_notification
from webhooks.attempt import DeliveryRuling, WebhookAnswer, reason_of
from webhooks.endpoint import (
    TEST_TYPE,
    DeliveryState,
    DisabledBy,
    EndpointState,
    Health,
    WebhookEndpoint,
    farewell,
    health_after,
    warning,
)
from webhooks.postgres.fan_out import COLUMNS, SOURCE

if TYPE_CHECKING:
    from database.connections import Connection

_LOCK = f"SELECT {COLUMNS} FROM webhook_endpoints WHERE id = $1 FOR NO KEY UPDATE"

_ATTEMPTED = """
    WITH given AS (
        SELECT * FROM unnest($2::text[], $3::text[], $4::int[], $5::int[], $6::timestamptz[], $7::int[],
            $8::smallint[], $9::text[], $10::text[])
            AS t (event_id, state, failures, number, attempted_at, milliseconds, status, error, response)
    ), kept AS (
        INSERT INTO delivery_attempts (endpoint_id, event_id, number, attempted_at, milliseconds, status, error,
            response)
        SELECT $1, event_id, number, attempted_at, milliseconds, status, error, response FROM given
        ON CONFLICT DO NOTHING
    )
    UPDATE deliveries d SET state = given.state, failures = given.failures, attempts = given.number,
        ended_at = CASE WHEN given.state <> 'pending' THEN clock_timestamp() END
    FROM given WHERE d.endpoint_id = $1 AND d.event_id = given.event_id AND d.state = 'pending'
"""

# In the order of keys, as the fan-out adds to them.
_LOCK_QUEUES = """
    SELECT FROM delivery_queues WHERE endpoint_id = $1 AND partition_key = ANY ($2::text[])
    ORDER BY partition_key FOR UPDATE
"""
_HOLD_UP = """
    UPDATE delivery_queues q SET next_attempt_at = held.next_attempt_at, unanswered = held.unanswered
    FROM unnest($2::text[], $3::timestamptz[], $4::bool[]) AS held (partition_key, next_attempt_at, unanswered)
    WHERE q.endpoint_id = $1 AND q.partition_key = held.partition_key
"""
_EMPTIED = """
    DELETE FROM delivery_queues q WHERE q.endpoint_id = $1 AND q.partition_key = ANY ($2::text[])
        AND NOT EXISTS (
            SELECT FROM deliveries d
            WHERE d.endpoint_id = $1 AND d.partition_key = q.partition_key AND d.state = 'pending')
"""
_HURRY = """
    UPDATE delivery_queues SET next_attempt_at = statement_timestamp()
    WHERE endpoint_id = $1 AND unanswered AND next_attempt_at > statement_timestamp()
"""

_SET_HEALTH = """
    UPDATE webhook_endpoints SET state = $2, disabled_by = $3, failures = $4, failing_since = $5, warned_at = $6,
        resting_until = $7
    WHERE id = $1
"""


@dataclass(frozen=True, slots=True)
class PendingDelivery:
    """An event that is to be sent. What is no event of the outbox, or none any more, has a `body` of its own."""

    event_id: str
    type: str
    position: int
    attempts: int
    failures: int
    body: dict[str, Any] | None
    event: Event | None = None

    @property
    def is_test(self) -> bool:
        """Whether nobody has to get it."""
        return self.type == TEST_TYPE


@dataclass(frozen=True, slots=True)
class Attempted:
    """An attempt that was made, and what follows from it. `body` is what was sent; `unsent`: nothing was."""

    partition_key: str
    delivery: PendingDelivery
    answer: WebhookAnswer
    ruling: DeliveryRuling
    body: dict[str, Any]
    unsent: bool = False

    @property
    def counts_for_health(self) -> bool:
        """Whether it says how its endpoint does: not what was never sent, nor a test."""
        return not self.unsent and not self.delivery.is_test


async def judge(connection: "Connection", endpoint_id: EndpointId, attempts: Sequence[Attempted]) -> Health:
    """Lock the endpoint, write how it does now, and return that."""
    row = await connection.fetchrow(_LOCK, endpoint_id)
    assert row is not None, "an endpoint's row is never removed while it has deliveries"
    endpoint = dataclass_of(WebhookEndpoint, row)
    before = Health.of(endpoint)
    tries = (each.ruling.tried for each in attempts if each.counts_for_health)
    after = health_after(before, sorted(tries, key=lambda tried: tried.at))
    if after != before:
        await _change(connection, endpoint, before, after)
    return after


async def write_attempts(connection: "Connection", endpoint_id: EndpointId, attempts: Sequence[Attempted]) -> None:
    """Write the attempts, what they make of their deliveries, and dead letters. A repeat changes nothing."""
    if not attempts:
        return
    ended = [(each.delivery, each.ruling, each.answer) for each in attempts]
    await connection.execute(
        _ATTEMPTED,
        endpoint_id,
        [delivery.event_id for delivery, _, _ in ended],
        [ruling.state.value for _, ruling, _ in ended],
        [ruling.failures for _, ruling, _ in ended],
        [delivery.attempts + 1 for delivery, _, _ in ended],
        [answer.at for _, _, answer in ended],
        [answer.milliseconds for _, _, answer in ended],
        [answer.status for _, _, answer in ended],
        [answer.error for _, _, answer in ended],
        [answer.response for _, _, answer in ended],
    )
    for each in attempts:
        if each.ruling.state is DeliveryState.DEAD and not each.delivery.is_test:
            await bury(connection, _undelivered(endpoint_id, each))


def _undelivered(endpoint_id: EndpointId, attempted: Attempted) -> Undelivered:
    delivery = attempted.delivery
    return Undelivered(
        source=SOURCE,
        reason=reason_of(attempted.answer),
        body=attempted.body,
        attempts=delivery.attempts + 1,
        target=endpoint_id,
        event_id=delivery.event_id,
        type=delivery.type,
        partition_key=attempted.partition_key,
    )


async def _change(connection: "Connection", endpoint: WebhookEndpoint, before: Health, after: Health) -> None:
    """Write how the endpoint does now, and tell whom it concerns."""
    values = (after.state, after.disabled_by, after.failures, after.failing_since, after.warned_at)
    await connection.execute(_SET_HEALTH, endpoint.id, *values, after.resting_until)
    if before.state is EndpointState.FAILING and after.state is EndpointState.ENABLED:
        await connection.execute(_HURRY, endpoint.id)
    if endpoint.owner_id is None:
        return
    if after.disabled_by is not None and before.disabled_by is None:
        text = farewell(endpoint.id, endpoint.url, DisabledBy(after.disabled_by))
        occasion = f"{endpoint.id}/disabled/{_moment(after)}"
        await write_notification(connection, endpoint.owner_id, occasion, text)
    elif after.warned_at is not None and before.warned_at is None:
        occasion = f"{endpoint.id}/failing/{_moment(after)}"
        await write_notification(connection, endpoint.owner_id, occasion, warning(endpoint.id, endpoint.url))


def _moment(health: Health) -> str:
    return health.failing_since.isoformat() if health.failing_since else ""


async def close_queues(
    connection: "Connection", endpoint_id: EndpointId, attempts: Sequence[Attempted], finished: Collection[str]
) -> None:
    """Hold up the queues that have failed, and remove those of `finished` that have nothing left to send."""
    held = {each.partition_key: each.ruling for each in attempts if each.ruling.next_attempt_at is not None}
    await connection.execute(_LOCK_QUEUES, endpoint_id, sorted({*held, *finished}))
    if held:
        await connection.execute(
            _HOLD_UP,
            endpoint_id,
            list(held),
            [ruling.next_attempt_at for ruling in held.values()],
            [ruling.unanswered for ruling in held.values()],
        )
    if ended := [key for key in finished if key not in held]:
        await connection.execute(_EMPTIED, endpoint_id, ended)
