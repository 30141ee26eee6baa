"""Reads messages: a consumer asks for nothing of an event but its id."""

import json
from typing import Any

# What a column, an index and a log line have room for. Ids and types of events are much shorter.
MOST_CHARACTERS = 255


class NoEvent(Exception):
    """The message is no event: no number of tries will make it one."""


def event_in(message: bytes) -> dict[str, Any]:
    """The event that a message holds: a JSON object with an `id` and a `type`. Raises `NoEvent` for anything else.

    Both can be kept as they are: text of 1 to 255 characters that can be printed.
    """
    try:
        event = json.loads(message)
    except (ValueError, RecursionError) as error:
        raise NoEvent(f"no JSON: {error}") from error
    if not isinstance(event, dict) or not all(_is_name(event.get(name)) for name in ("id", "type")):
        raise NoEvent("no JSON object with an `id` and a `type`")
    return event


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MOST_CHARACTERS and value.isprintable()
