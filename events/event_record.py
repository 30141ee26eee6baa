"""An event as JSON with all its fields, and back. Dead letters keep it: the event itself is not kept for ever."""

import dataclasses
from datetime import datetime
from typing import Any

from events.event import Event, EventType


def record_of(event: Event) -> dict[str, Any]:
    """All fields, as JSON values."""
    return dataclasses.asdict(event) | {
        "type": event.type.value,
        "audience": list(event.audience),
        "occurred_at": event.occurred_at.isoformat(),
    }


def event_in_record(record: dict[str, Any]) -> Event:
    """The event that the record was made of."""
    return Event(
        **record
        | {
            "type": EventType(record["type"]),
            "audience": tuple(record["audience"]),
            "occurred_at": datetime.fromisoformat(record["occurred_at"]),
        }
    )
