"""Runs statements of SQLAlchemy Core on our own asyncpg connections: one transaction can hold both kinds of SQL.

SQLAlchemy only writes the SQL text here: it opens no connection, begins no transaction and has no pool. The hot path
passes asyncpg its text directly.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self
from weakref import WeakKeyDictionary

import asyncpg
from sqlalchemy import BigInteger, ColumnElement, Dialect, Select, Text, func, literal, literal_column
from sqlalchemy.dialects.postgresql import asyncpg as dialect_of_asyncpg
from sqlalchemy.sql.base import Executable
from sqlalchemy.sql.cache_key import CacheKey
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.util import LRUCache

if TYPE_CHECKING:
    from database.connections import Connection

Row = asyncpg.Record

_DIALECT: Dialect = dialect_of_asyncpg.dialect()  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True)
class _Form:
    """What statements share that differ in their values alone: SQL with `$1`, `$2`, …, each cast to its column's type.

    It must refer to no statement and no compiler: these hold values, such as password hashes.
    """

    sql: str
    names: tuple[str, ...]
    required: frozenset[str]
    encoders: dict[str, Callable[[Any], Any]]
    places: dict[str, int]
    """Where in a statement's cache key the values of these parameters are."""
    constants: dict[str, object]

    @classmethod
    def of(cls, statement: Executable, key: CacheKey | None) -> Self:
        compiler = statement.compile(dialect=_DIALECT, cache_key=key)  # type: ignore[attr-defined]
        assert isinstance(compiler, SQLCompiler)
        assert not compiler.post_compile_params, "a list in IN changes the SQL with its length: use `one_of`, or any_()"
        names = tuple(compiler.positiontup or ())
        # SQLAlchemy puts the values of another statement into the parameters: here, numbers instead.
        places = [literal(_Place(number)) for number in range(len(key.bindparams))] if key else None
        given = compiler.construct_params(_check=False, extracted_parameters=places)
        return cls(
            compiler.string,
            names,
            frozenset(name for bind, name in compiler.bind_names.items() if bind.required),
            {
                name: encode
                for bind, name in compiler.bind_names.items()
                if (encode := bind.type.dialect_impl(_DIALECT).bind_processor(_DIALECT))
            },
            {name: found.number for name, found in given.items() if isinstance(found, _Place)},
            {name: found for name, found in given.items() if not isinstance(found, _Place)},
        )


@dataclass(frozen=True, slots=True)
class _Place:
    number: int


@dataclass(frozen=True, slots=True)
class _CompiledStatement:
    """A form, and the values of one statement. It must not refer to the statement, which is its key in a weak cache."""

    form: _Form
    given: dict[str, object]

    @property
    def sql(self) -> str:
        return self.form.sql

    def arguments(self, values: dict[str, object]) -> list[object]:
        """The values of `$1`, `$2`, …: those that the statement was built with, and these. Raises if one is missing."""
        form = self.form
        if missing := form.required - values.keys():
            raise TypeError(f"The statement needs values for {', '.join(sorted(missing))}.")
        found = self.given | values
        return [encode(found[name]) if (encode := form.encoders.get(name)) else found[name] for name in form.names]


# A statement that a module builds once is looked up once. One that is built for a request is freed with it.
_compiled: WeakKeyDictionary[Executable, _CompiledStatement] = WeakKeyDictionary()

# To compile takes milliseconds, so it happens once for all statements of one form.
_MOST_FORMS = 500
_forms: LRUCache[object, _Form] = LRUCache(_MOST_FORMS)


def _compile(statement: Executable) -> _CompiledStatement:
    if known := _compiled.get(statement):
        return known
    # SQLAlchemy's own engine does the same with each statement. It has no key where types or lists forbid one.
    key: CacheKey | None = statement._generate_cache_key()  # type: ignore[attr-defined]  # noqa: SLF001
    form = _forms.get(key.key) if key else None
    if form is None:
        form = _Form.of(statement, key)
        if key:
            _forms[key.key] = form
    values = key.bindparams if key else ()
    given = {name: values[place].effective_value for name, place in form.places.items()}
    compiled = _CompiledStatement(form, form.constants | given)
    _compiled[statement] = compiled
    return compiled


async def fetch(connection: "Connection", statement: Executable, **values: object) -> list[Row]:
    """All rows. `values` are those of the statement's named `bindparam`s."""
    compiled = _compile(statement)
    return await connection.fetch(compiled.sql, *compiled.arguments(values))


async def fetch_first(connection: "Connection", statement: Executable, **values: object) -> Row | None:
    """The first row, or None where the statement returns none."""
    compiled = _compile(statement)
    return await connection.fetchrow(compiled.sql, *compiled.arguments(values))


async def fetch_only(connection: "Connection", statement: Executable, **values: object) -> Row:
    """The row of a statement that always returns one: an insert, an aggregate, or an update under the row's lock."""
    row = await fetch_first(connection, statement, **values)
    assert row is not None
    return row


async def fetch_value(connection: "Connection", statement: Executable, **values: object) -> Any:
    """The first column of the first row, or None where the statement returns none."""
    compiled = _compile(statement)
    return await connection.fetchval(compiled.sql, *compiled.arguments(values))


async def execute(connection: "Connection", statement: Executable, **values: object) -> None:
    """Run a statement and discard its rows."""
    compiled = _compile(statement)
    await connection.execute(compiled.sql, *compiled.arguments(values))


def locked(statement: Select[Any]) -> Select[Any]:
    """The same rows, locked `FOR NO KEY UPDATE`: `FOR UPDATE` deadlocks with the foreign-key checks of inserts."""
    return statement.with_for_update(key_share=True)


def one_of(column: ColumnElement[str], values: Iterable[StrEnum]) -> ColumnElement[bool]:
    """Whether a column has one of these values, written into the SQL as constants.

    With parameters in their place PostgreSQL could not use a partial index on these values.
    """
    return column.in_([literal_column(f"'{value.value}'", Text) for value in values])


def sum_of(amount: ColumnElement[int], *conditions: ColumnElement[bool]) -> ColumnElement[int]:
    """The sum of a bigint column over the rows that fulfil the conditions, as a bigint; 0 where no row does."""
    total = func.sum(amount)
    return func.coalesce(total.filter(*conditions) if conditions else total, 0).cast(BigInteger)
