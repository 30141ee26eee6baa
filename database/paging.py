"""Pages of lists. Each read fetches one row more than the page holds, to know whether another page follows."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from weakref import WeakKeyDictionary

from sqlalchemy import ColumnElement, Integer, Select, bindparam, tuple_

from database.statements import Row, fetch

if TYPE_CHECKING:
    from database.connections import Connection

T = TypeVar("T")

# The time and id of the last item of a page: the next page begins after it, even if items were added meanwhile.
Place = tuple[datetime, str]


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """The items of one page, and whether more follow."""

    items: list[T]
    has_more: bool


# A statement that a module builds once gets its limit once, so that it is also compiled once.
_limited: WeakKeyDictionary[Select[Any], Select[Any]] = WeakKeyDictionary()


def newest_first(
    statement: Select[Any], time: ColumnElement[Any], id_: ColumnElement[Any], *, behind: bool
) -> Select[Any]:
    """The list from the newest item to the oldest; with `behind`, only what follows the place given to `fetch_page`.

    Every page costs the same with an index on the columns that the list fixes, then `(time DESC, id DESC)`.
    """
    ordered = statement.order_by(time.desc(), id_.desc())
    if not behind:
        return ordered
    place = (bindparam("before_time", type_=time.type), bindparam("before_id", type_=id_.type))
    return ordered.where(tuple_(time, id_) < tuple_(*place))


async def fetch_page(
    connection: "Connection",
    statement: Select[Any],
    limit: int,
    item_of: Callable[[Row], T],
    before: Place | None = None,
    **values: object,
) -> Page[T]:
    """The first `limit` rows of an ordered statement, each made an item."""
    limited = _limited.get(statement)
    if limited is None:
        limited = _limited[statement] = statement.limit(bindparam("page_rows", type_=Integer))
    if before is not None:
        values |= {"before_time": before[0], "before_id": before[1]}
    rows = await fetch(connection, limited, page_rows=limit + 1, **values)
    return Page([item_of(row) for row in rows[:limit]], has_more=len(rows) > limit)
