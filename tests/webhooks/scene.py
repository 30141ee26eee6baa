"""Endpoints and events of a test, and steps that send without a workflow."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from activities.webhooks.drain import Drain
from database.connections import Database
from events.envelope import envelope_of
from events.postgres.sequencer import number_all
from events.postgres.stream import EventStream
from ledger.ids import CustomerId, EndpointId
from tests.events.test_schemas import validate
from tests.orders import ENCRYPTION
from webhooks.addresses import AllowedNetworks
from webhooks.endpoint import Delivery, Drained, WebhookEndpoint
from webhooks.http_client import WebhookSender
from webhooks.postgres.endpoints import WebhookEndpoints
from webhooks.postgres.fan_out import WebhookFanOut
from webhooks.postgres.outbound import OutgoingEvents

LOOPBACK = AllowedNetworks.of(["127.0.0.1"])

# Of the platform: about no transfer, so no account and no money is needed.
EMIT = "SELECT emit_event($1, $2, $3, NULL, NULL, $4::text[], '{\"test\": true}')"
TYPE = "webhook_endpoint.recovered"

MOVED = """
    INSERT INTO sinks (name, kind, position) VALUES ('webhooks', 'projection', $1)
    ON CONFLICT (name) DO UPDATE SET position = excluded.position
"""


@dataclass
class Scene:
    database: Database
    fanned_out: int = 0
    stops: bool = False

    @property
    def endpoints(self) -> WebhookEndpoints:
        return WebhookEndpoints(self.database, ENCRYPTION)

    @property
    def outgoing(self) -> OutgoingEvents:
        return OutgoingEvents(self.database, ENCRYPTION)

    async def made(self, url: str, *types: str, owner_id: CustomerId | None = None) -> WebhookEndpoint:
        endpoint, _ = await self.endpoints.create(owner_id, url, types)
        return endpoint

    async def emit(self, *keys: str, type_: str = TYPE, audience: tuple[str, ...] = ()) -> None:
        """One event for each key, fanned out to the endpoints."""
        async with self.database.connection() as connection:
            for number, key in enumerate(keys):
                await connection.execute(EMIT, type_, f"whe_{number}", key, list(audience))
        await self.fan_out()

    async def fan_out(self) -> None:
        await number_all(self.database)
        sink = WebhookFanOut(lambda: None)
        while events := await EventStream(self.database).after(self.fanned_out, 500):
            async with self.database.transaction() as connection:
                await sink.apply(connection, events)
                await connection.execute(MOVED, events[-1].position)
            self.fanned_out = events[-1].position

    async def drain(self, endpoint_id: EndpointId) -> Drained:
        """One step, which does not listen for more."""
        opened = await self.outgoing.open(endpoint_id)
        assert opened is not None
        return await self.step().run(opened)

    def step(self) -> Drain:
        sender, news = WebhookSender(LOOPBACK), asyncio.Event()
        return Drain(self.outgoing, sender, news, lambda: self.stops, listen_seconds=0)

    async def pass_time(self, hours: int = 0, days: int = 0) -> None:
        """Let all of webhooks be as old as this: attempts, queues and failures."""
        async with self.database.transaction() as connection:
            passed = f"interval '{hours + 24 * days} hours'"
            await connection.execute(f"UPDATE delivery_queues SET next_attempt_at = next_attempt_at - {passed}")
            await connection.execute(
                f"UPDATE webhook_endpoints SET failing_since = failing_since - {passed}, "
                f"resting_until = resting_until - {passed}, former_until = former_until - {passed}"
            )

    async def deliveries(self, endpoint: WebhookEndpoint) -> list[Delivery]:
        """Oldest first."""
        page = await self.endpoints.deliveries(endpoint.owner_id, endpoint.id, None, 50)
        return page.items[::-1]

    async def now(self, endpoint: WebhookEndpoint) -> WebhookEndpoint:
        return await self.endpoints.find(endpoint.owner_id, endpoint.id)

    async def emitted(self, *types: str) -> list[dict[str, Any]]:
        """What events of these types told, oldest first."""
        await number_all(self.database)
        events = await EventStream(self.database).after(0, 500)
        emitted = [event for event in events if event.type.value in types]
        for event in emitted:
            if "test" not in event.data:
                validate(json.dumps(envelope_of(event)))
        return [event.data for event in emitted]
