"""What a projection writes: its rows, by slot. A class for each projection fulfils it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from database.paging import Place
from events.event import Event
from projections.projection import ProjectionName

if TYPE_CHECKING:
    from database.connections import Connection


@dataclass(frozen=True, slots=True)
class DroppedEvents:
    """What no kept event has: changes before events were written, and those up to `starts_after`.

    They are of accounts and transfers that were created before `books_until`.
    """

    starts_after: int
    books_until: datetime


class ReadModel(Protocol):
    """The rows of one projection. Every call is part of the caller's transaction."""

    @property
    def name(self) -> ProjectionName:
        """The projection, and the name of its table."""
        ...

    async def fold(self, connection: "Connection", slot: int, events: Sequence[Event]) -> None:
        """Write what these events change, in their order. Raises `OutOfOrder`."""
        ...

    async def take_from_books(
        self, connection: "Connection", slot: int, dropped: DroppedEvents, after: Place | None
    ) -> Place | None:
        """Write the next rows of what no kept event has, and return their place; None: there are no more."""
        ...
