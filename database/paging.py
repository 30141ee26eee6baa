"""Pages of lists: one item more than a page holds is read, to know whether another page follows."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Select, tuple_

from database.statements import Row, fetch

if TYPE_CHECKING:
    from database.connections import Connection

T = TypeVar("T")

# The time and id of the last item of a page: the next page begins behind it, whatever was added meanwhile.
Place = tuple[datetime, str]


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """The items of one page, and whether more follow."""

    items: list[T]
    has_more: bool


def newest_first(
    statement: Select[Any], time: ColumnElement[Any], id_: ColumnElement[Any], before: Place | None
) -> Select[Any]:
    """The list from the newest item to the oldest, or what is behind the place `before` in it.

    An index on `(time DESC, id DESC)`, behind columns that the list fixes, gives every page at the same cost.
    """
    ordered = statement.order_by(time.desc(), id_.desc())
    return ordered if before is None else ordered.where(tuple_(time, id_) < before)


async def fetch_page(
    connection: "Connection", statement: Select[Any], limit: int, item_of: Callable[[Row], T]
) -> Page[T]:
    """The first `limit` rows of an ordered statement, each made an item."""
    rows = await fetch(connection, statement.limit(limit + 1))
    return Page([item_of(row) for row in rows[:limit]], has_more=len(rows) > limit)
