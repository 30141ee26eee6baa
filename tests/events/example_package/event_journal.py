"""A sink of one's own: it appends every event to a file, as a line of JSON."""

import asyncio
import json
import os
from collections.abc import Sequence
from pathlib import Path

from events.envelope import envelope_of
from events.event import Event
from events.sink import Rejected, SinkUnavailable

MOST_CHARACTERS = 10_000


class Journal:
    """Whoever reads the file skips an `id` that it has seen: after a crash some events come again."""

    name = "journal"

    def __init__(self, path: Path) -> None:
        self._path = path

    async def publish(self, events: Sequence[Event]) -> Sequence[Rejected]:
        """Return once all are on disk. What can never be written becomes a dead letter, and the next events come."""
        lines = {event.event_id: json.dumps(envelope_of(event)) for event in events}
        too_long = {event_id for event_id, line in lines.items() if len(line) > MOST_CHARACTERS}
        try:
            await asyncio.to_thread(
                self._append, [line for event_id, line in lines.items() if event_id not in too_long]
            )
        except OSError as error:
            raise SinkUnavailable(str(error)) from error
        return [Rejected(event, "longer than a line may be") for event in events if event.event_id in too_long]

    def _append(self, lines: Sequence[str]) -> None:
        with self._path.open("a") as journal:
            journal.writelines(f"{line}\n" for line in lines)
            journal.flush()
            os.fsync(journal.fileno())


def configured() -> Journal | None:
    """What the entry point names: the sink, or None where it is not configured, which switches it off."""
    path = os.environ.get("EVENT_JOURNAL")
    return Journal(Path(path)) if path else None
