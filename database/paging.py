"""Pages of lists. Each read fetches one row more than the page holds, to know whether another page follows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast
from weakref import WeakKeyDictionary

from sqlalchemy import ColumnElement, Integer, Select, Subquery, bindparam, select, tuple_, union_all

from database.statements import Row, fetch

if TYPE_CHECKING:
    from sqlalchemy.sql.elements import KeyedColumnElement

    from database.connections import Connection

T = TypeVar("T")

# The time and id of the last item of a page: the next page begins after it, even if items were added meanwhile.
Place = tuple[datetime, str]


@dataclass(frozen=True, slots=True)
class Span:
    """From `since` on, and before `until`. None: it has no such end."""

    since: datetime | None = None
    until: datetime | None = None

    def holds(self, time: ColumnElement[Any]) -> list[ColumnElement[bool]]:
        """The conditions under which a time lies in it."""
        found = []
        if self.since is not None:
            found.append(time >= self.since)
        if self.until is not None:
            found.append(time < self.until)
        return found


ALL_TIME = Span()


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """The items of one page, and whether more follow."""

    items: list[T]
    has_more: bool


_PAGE_ROWS = bindparam("page_rows", type_=Integer)

# A statement that a module builds once gets its limit once, so that it is also compiled once.
_limited: WeakKeyDictionary[Select[Any], Select[Any]] = WeakKeyDictionary()


def newest_first(
    statement: Select[Any],
    time: ColumnElement[Any],
    id_: ColumnElement[Any],
    *,
    behind: bool,
    within: Span = ALL_TIME,
) -> Select[Any]:
    """The list from the newest item to the oldest; with `behind`, only what follows the place given to `fetch_page`.

    Every page costs the same with an index on the columns that the list fixes, then `(time DESC, id DESC)`.
    """
    ordered = statement.where(*within.holds(time)).order_by(time.desc(), id_.desc())
    if not behind:
        return ordered
    place = (bindparam("before_time", type_=time.type), bindparam("before_id", type_=id_.type))
    return ordered.where(tuple_(time, id_) < tuple_(*place))


def newest_of(
    branches: Sequence[Select[Any]],
    time: ColumnElement[Any],
    id_: ColumnElement[Any],
    *,
    behind: bool,
    within: Span = ALL_TIME,
) -> Select[Any]:
    """The list of all branches together, newest first. No row may be in two of them.

    One condition that holds in either of two indexes is found in neither in order. Each branch has one index, which it
    reads in order and for one page at most.
    """
    if len(branches) == 1:
        return newest_first(branches[0], time, id_, behind=behind, within=within)
    pages = [newest_first(branch, time, id_, behind=behind, within=within).limit(_PAGE_ROWS) for branch in branches]
    listed = union_all(*pages).subquery("listed")
    return select(listed).order_by(*(_in(listed, column).desc() for column in (time, id_)))


def _in(listed: Subquery, column: ColumnElement[Any]) -> ColumnElement[Any]:
    found = listed.corresponding_column(cast("KeyedColumnElement[Any]", column))
    assert found is not None, "every branch selects what the list is ordered by"
    return found


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
        limited = _limited[statement] = statement.limit(_PAGE_ROWS)
    if before is not None:
        values |= {"before_time": before[0], "before_id": before[1]}
    rows = await fetch(connection, limited, page_rows=limit + 1, **values)
    return Page([item_of(row) for row in rows[:limit]], has_more=len(rows) > limit)
