"""The body of a webhook. Pure: no I/O, no clock."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from events.envelope import envelope_of
from events.event import Event
from events.views import as_seen_by
from ledger.ids import CustomerId, EndpointId
from webhooks.endpoint import TEST_TYPE


@dataclass(frozen=True, slots=True)
class Payload:
    """A body, as JSON and as the text that is signed and sent."""

    body: dict[str, Any]

    @property
    def text(self) -> str:
        """The same text for the same body."""
        return json.dumps(self.body, separators=(",", ":"), ensure_ascii=False)


def payload_of(event: Event, owner_id: CustomerId | None) -> Payload | None:
    """What an endpoint of this owner gets of an event; None: the owner may not see it. The platform sees all."""
    seen = as_seen_by(event, owner_id)
    return Payload(envelope_of(seen)) if seen is not None else None


def body_of_test(endpoint_id: EndpointId, event_id: str, at: datetime) -> dict[str, Any]:
    """A test in the form of every event. It is none: it has no place in the order of events, and is kept nowhere."""
    return {
        "specversion": "1.0",
        "id": event_id,
        "source": "/v1/webhook-endpoints",
        "type": TEST_TYPE,
        "subject": endpoint_id,
        "time": at.isoformat(),
        "datacontenttype": "application/json",
        "timestamp": at.isoformat(),
        "data": {"endpoint": {"id": endpoint_id}},
    }
