"""Reads messages: a consumer asks for nothing of an event but its id."""

import json
from typing import Any


class NoEvent(Exception):
    """The message is no event: no number of tries will make it one."""


def event_in(message: bytes) -> dict[str, Any]:
    """The event that a message holds: a JSON object with an `id` and a `type`. Raises `NoEvent` for anything else."""
    try:
        event = json.loads(message)
    except (ValueError, RecursionError) as error:
        raise NoEvent(f"no JSON: {error}") from error
    if not isinstance(event, dict) or not all(isinstance(event.get(name), str) for name in ("id", "type")):
        raise NoEvent("no JSON object with an `id` and a `type`")
    return event
