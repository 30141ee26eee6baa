"""One page of an account's entries."""

from api.accounts.models import EntriesOut, EntryOut
from api.http.paging import from_cursor, next_cursor, to_cursor
from api.http.problems import Problem
from api.services import Services
from ledger.accounts import Account


async def entries_page(remit: Services, account: Account, limit: int, cursor: str | None) -> EntriesOut:
    """A page of an account's entries, newest first. The caller has checked that they may be read."""
    below = _version(cursor) if cursor else account.version + 1
    page = await remit.account_reads.entries(account.id, below, limit)
    return EntriesOut(
        items=[EntryOut.of(entry) for entry in page.items],
        next_cursor=next_cursor(page, lambda last: to_cursor(last.version)),
    )


def _version(cursor: str) -> int:
    (version,) = from_cursor(cursor, parts=1)
    if not version.isascii() or not version.isdigit() or len(version) > 18:  # noqa: PLR2004 - fits a BIGINT
        raise Problem("cursor_invalid")
    return int(version)
