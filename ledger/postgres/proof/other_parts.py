"""The parts of an audit beside accounts and transfers: batches, standing orders, and statements of accounts."""

from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING

from ledger.postgres.proof import sections
from ledger.postgres.rows import Row

if TYPE_CHECKING:
    from database.connections import Connection

# One part holds about so many rows, and looks each of them up in the books: some tenths of a second.
ITEMS_AT_ONCE = 10_000
OCCURRENCES_AT_ONCE = 5_000
ACCOUNTS_AT_ONCE = 1_000

_BATCHES = "SELECT id, total FROM batches WHERE id > $1 ORDER BY id LIMIT 1000"
_BATCHES_SINCE = """
    SELECT id, total FROM batches WHERE ended_at IS NOT NULL AND ended_at > $1
    UNION
    SELECT id, total FROM batches WHERE state IN ('accepted', 'in_progress', 'held')
"""

_OCCURRENCES = """
    SELECT order_id, date FROM standing_order_occurrences WHERE (order_id, date) > ($1, $2)
    ORDER BY order_id, date LIMIT $3
"""
_OCCURRENCES_SINCE = """
    SELECT order_id, date FROM standing_order_occurrences
    WHERE state IN ('paid', 'missed', 'failed', 'skipped') AND updated_at > $1
"""

_ACCOUNTS = "SELECT DISTINCT account_id FROM account_statements WHERE account_id > $1 ORDER BY account_id LIMIT $2"
_ACCOUNTS_SINCE = "SELECT DISTINCT account_id FROM account_statements WHERE made_at > $1"

Part = tuple[str, tuple[object, ...]]


async def other_parts(connection: "Connection", since: datetime | None, *, limit_seconds: int) -> AsyncIterator[Part]:
    """Sections with their values, over what ended or was made since then and what is under way; None: over all.

    Each statement here may take `limit_seconds`.
    """
    async for batches in _batches(connection, since, limit_seconds):
        yield sections.BATCHES, (batches,)
    async for orders, dates in _occurrences(connection, since, limit_seconds):
        yield sections.OCCURRENCES, (orders, dates)
    yield sections.STOPPED_ORDERS, ()
    async for accounts in _accounts(connection, since, limit_seconds):
        yield sections.STATEMENTS, (accounts,)


async def _batches(connection: "Connection", since: datetime | None, limit: int) -> AsyncIterator[list[str]]:
    if since is not None:
        for part in _together(await connection.fetch(_BATCHES_SINCE, since, timeout=limit)):
            yield part
        return
    after = ""
    while page := await connection.fetch(_BATCHES, after, timeout=limit):
        for part in _together(page):
            yield part
        after = page[-1]["id"]


def _together(batches: Sequence[Row]) -> Iterator[list[str]]:
    """The batches in groups that have about `ITEMS_AT_ONCE` items; a larger one alone."""
    group: list[str] = []
    items = 0
    for batch in batches:
        if group and items + batch["total"] > ITEMS_AT_ONCE:
            yield group
            group, items = [], 0
        group.append(batch["id"])
        items += batch["total"]
    if group:
        yield group


async def _occurrences(
    connection: "Connection", since: datetime | None, limit: int
) -> AsyncIterator[tuple[list[str], list[date]]]:
    if since is not None:
        found = await connection.fetch(_OCCURRENCES_SINCE, since, timeout=limit)
        for first in range(0, len(found), OCCURRENCES_AT_ONCE):
            page = found[first : first + OCCURRENCES_AT_ONCE]
            yield [row["order_id"] for row in page], [row["date"] for row in page]
        return
    place = ("", date.min)
    while page := await connection.fetch(_OCCURRENCES, *place, OCCURRENCES_AT_ONCE, timeout=limit):
        yield [row["order_id"] for row in page], [row["date"] for row in page]
        place = (page[-1]["order_id"], page[-1]["date"])


async def _accounts(connection: "Connection", since: datetime | None, limit: int) -> AsyncIterator[list[str]]:
    if since is not None:
        found = [row["account_id"] for row in await connection.fetch(_ACCOUNTS_SINCE, since, timeout=limit)]
        for first in range(0, len(found), ACCOUNTS_AT_ONCE):
            yield found[first : first + ACCOUNTS_AT_ONCE]
        return
    after = ""
    while page := await connection.fetch(_ACCOUNTS, after, ACCOUNTS_AT_ONCE, timeout=limit):
        yield [row["account_id"] for row in page]
        after = page[-1]["account_id"]
