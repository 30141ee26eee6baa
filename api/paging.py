"""Places in lists: what a cursor holds for each kind of list, and the page of a statement."""

import re
from datetime import UTC, datetime

from api.headers import from_cursor, to_cursor
from api.models import EntriesOut, EntryOut
from api.problems import Problem
from api.state import State
from ledger.accounts import Account

_ANY_ID = re.compile(r"[a-z]{3}_[a-z2-7]{26}")


async def entries_page(remit: State, account: Account, limit: int, cursor: str | None) -> EntriesOut:
    """A page of an account's entries, newest first. The caller has checked who may read it."""
    below = _version(cursor) if cursor else account.version + 1
    lines = await remit.statements.lines(account.id, below, limit + 1)
    page = lines[:limit]
    more = to_cursor(page[-1].version) if len(lines) > limit else None
    return EntriesOut(items=[EntryOut.of(line) for line in page], next_cursor=more)


def place_of(moment: datetime, id_: str) -> str:
    """The cursor behind an item of a list that is sorted by time and id."""
    return to_cursor(moment.isoformat(), id_)


def place_in(cursor: str | None, ids: re.Pattern[str] = _ANY_ID) -> tuple[datetime, str] | None:
    """The time and id in such a cursor, of a list whose ids look like `ids`."""
    if cursor is None:
        return None
    moment, id_ = from_cursor(cursor, parts=2)
    try:
        place = datetime.fromisoformat(moment)
        # Near the first and the last year there is a time here that is none in UTC.
        utc = place.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Problem("cursor_invalid") from error
    if place.tzinfo is None or not ids.fullmatch(id_):
        raise Problem("cursor_invalid")
    return utc, id_


def _version(cursor: str) -> int:
    (version,) = from_cursor(cursor, parts=1)
    if not version.isascii() or not version.isdigit() or len(version) > 18:  # noqa: PLR2004 - fits a BIGINT
        raise Problem("cursor_invalid")
    return int(version)
