"""Sinks: who gets every event, in the order of positions. A sink is one class, and a row with its position.

Two kinds. A publisher hands events to something outside, such as a broker; a projection writes rows in the same
database. Nothing else knows which sinks there are, so another one attaches without a change elsewhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

from events.event import Event, EventType
from ledger.refusals import ActionRefused


class SinkKind(StrEnum):
    """How a sink delivers."""

    PUBLISHER = "publisher"
    PROJECTION = "projection"


class SinkState(StrEnum):
    """What a sink does now. `waiting`: no worker runs it. `off`: none has to, because the settings do not name it."""

    RUNNING = "running"
    WAITING = "waiting"
    FAILING = "failing"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Rejected:
    """An event that its receiver will never take. It becomes a dead letter, and the next event comes."""

    event: Event
    reason: str


@dataclass(eq=False)
class NoSuchSink(ActionRefused):
    """No sink has this name."""

    code = "sink_not_found"
    name: str

    def __str__(self) -> str:
        return f"No sink {self.name} was ever run."


@dataclass(eq=False)
class SinkInUse(ActionRefused):
    """A sink that is configured or run is no former one."""

    code = "sink_in_use"
    name: str

    def __str__(self) -> str:
        return f"The sink {self.name} is in use: take it out of the settings of all processes, and restart them, first."


class SinkUnavailable(Exception):
    """The receiver takes nothing now. The sink waits and tries again, and its lag shows."""


@runtime_checkable
class Publisher(Protocol):
    """Hands events to something outside of the database.

    A publisher may also have `begins_at_head`: true, and it begins with the first event after it was first run, instead
    of the oldest that is kept; `most_at_once`: so many events it gets in one call; `types`: events of other types it
    does not get; `pause_milliseconds`: the least time from one call to the next, so that each has more events;
    `rests_for`: after a call that leaves events behind, it rests for so many times as long as the call took;
    `republish(events)`, which is called instead of `publish` for dead letters that staff replay; and `aclose()`, which
    is called when its process stops.
    """

    @property
    def name(self) -> str:
        """The name of its row: small letters, digits, `_`, `-` and `.`."""
        ...

    async def publish(self, events: Sequence[Event]) -> Sequence[Rejected]:
        """Hand over all of these, in their order, and return once the receiver has confirmed them.

        After a crash or an error all of them come again, with the same ids: receivers leave out what they have. Raises
        `SinkUnavailable` while the receiver takes nothing; every other error is treated in the same way.
        """
        ...


@runtime_checkable
class Projection(Protocol):
    """Writes rows in the database of the events. It may have what else a publisher may have.

    And `committed()`, which is called after each transaction.
    """

    @property
    def name(self) -> str:
        """The name of its row."""
        ...

    async def apply(self, connection: Any, events: Sequence[Event]) -> None:
        """Write what follows from these events, in their order, on asyncpg's `connection`, which is in a transaction.

        The transaction also moves the position, so each event is applied once. It must not write outside of it.
        """
        ...


Sink = Publisher | Projection


def kind_of(sink: Sink) -> SinkKind:
    """Which of the two it is. Raises `TypeError` for what is neither, or both."""
    publishes, projects = isinstance(sink, Publisher), isinstance(sink, Projection)
    if publishes == projects:
        raise TypeError(f"{sink!r} is no sink: it needs a `name`, and either `publish` or `apply`.")
    return SinkKind.PUBLISHER if publishes else SinkKind.PROJECTION


def begins_at_head(sink: Sink) -> bool:
    """Whether its first event is the next one, and not the oldest that is kept."""
    return bool(getattr(sink, "begins_at_head", False))


def most_at_once(sink: Sink, default: int) -> int:
    """How many events one call hands it. One call of a publisher may take some seconds, and no longer."""
    return int(getattr(sink, "most_at_once", default))


def types_of(sink: Sink) -> frozenset[EventType] | None:
    """The types of the events that it gets; None: all."""
    types = getattr(sink, "types", None)
    return None if types is None else frozenset(types)


def pause_milliseconds(sink: Sink, default: int) -> int:
    """The least time from one call to the next while there are few events."""
    return int(getattr(sink, "pause_milliseconds", default))


def rests_for(sink: Sink, default: int) -> int:
    """How many times as long as a call took it rests after it, while it is behind."""
    return int(getattr(sink, "rests_for", default))
