"""Cursors of streams: the position of an event, as its envelope has it."""

from api.events.routes import position_after
from api.services import Services
from events.envelope import SEQUENCE_DIGITS


def cursor_of(position: int) -> str:
    """The cursor behind the event with this position."""
    return f"{position:0{SEQUENCE_DIGITS}}"


async def position_in(remit: Services, cursor: str | None) -> int:
    """The position in a cursor; None: that of the newest event. Raises `cursor_invalid` and `cursor_expired`."""
    if cursor is None:
        return (await remit.event_searches.extent()).last
    return await position_after(remit, cursor)
