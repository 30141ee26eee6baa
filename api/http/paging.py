"""Cursors: the position of the last item in its list, opaque to clients."""

import base64
import binascii
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

from api.http.problems import Problem
from database.paging import Page, Place

T = TypeVar("T")


def next_cursor(page: Page[T], place: Callable[[T], str]) -> str | None:
    """The cursor of the next page, from the position of this one's last item. None: this page is the last."""
    return place(page.items[-1]) if page.has_more else None


def to_cursor(*parts: object) -> str:
    """An opaque cursor from the last item's position in its list."""
    return base64.urlsafe_b64encode("|".join(map(str, parts)).encode()).decode().rstrip("=")


def from_cursor(cursor: str, parts: int) -> list[str]:
    """The parts of a cursor. Raises the problem `cursor_invalid`."""
    try:
        found = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().split("|")
    except (binascii.Error, UnicodeDecodeError, ValueError) as error:
        raise Problem("cursor_invalid") from error
    if len(found) != parts:
        raise Problem("cursor_invalid")
    return found


_ANY_ID = re.compile(r"[a-z]{3}_[a-z2-7]{26}")


def place_of(moment: datetime, id_: str) -> str:
    """The cursor after an item of a list that is sorted by time and id."""
    return to_cursor(moment.isoformat(), id_)


def place_in(cursor: str | None, ids: re.Pattern[str] = _ANY_ID) -> Place | None:
    """The time and id in such a cursor, for a list whose ids match `ids`. Raises the problem `cursor_invalid`."""
    if cursor is None:
        return None
    moment, id_ = from_cursor(cursor, parts=2)
    try:
        place = datetime.fromisoformat(moment)
        # Near the first and the last year, a local time may lie outside the range of UTC times.
        utc = place.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Problem("cursor_invalid") from error
    if place.tzinfo is None or not ids.fullmatch(id_):
        raise Problem("cursor_invalid")
    return utc, id_
