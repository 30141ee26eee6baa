"""Rows of PostgreSQL as dataclasses: the one way for all nouns."""

import dataclasses
import json
from collections.abc import Callable
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import asyncpg
from sqlalchemy import Column, Table

T = TypeVar("T")

_ABSENT: Any = object()


def columns_for(cls: Callable[..., Any], table: Table) -> list[Column[Any]]:
    """The columns of the table that are the dataclass's fields, in their order. Every field must be one."""
    return [table.c[name] for name, _, _ in _fields(cls, "")]


def dataclass_of(cls: Callable[..., T], row: asyncpg.Record, prefix: str = "", **given: object) -> T:
    """The dataclass whose fields are the columns of the row, named `prefix` and the field's name.

    An enum's value becomes its member, and JSON text its value. `given` sets fields that are not columns. A field
    without a column takes its default; columns without a field are ignored.
    """
    for name, column, convert in _fields(cls, prefix):
        if name in given:
            continue
        value = row.get(column, _ABSENT)
        if value is not _ABSENT:
            given[name] = value if convert is None or value is None else convert(value)
    return cls(**given)


@cache
def _fields(cls: Callable[..., Any], prefix: str) -> list[tuple[str, str, Callable[[Any], Any] | None]]:
    hints = get_type_hints(cls)
    return [(field.name, prefix + field.name, _conversion(hints[field.name])) for field in dataclasses.fields(cls)]  # type: ignore[arg-type]


def _conversion(hint: Any) -> Callable[[Any], Any] | None:
    """The function that converts a column's value to this type; None if no conversion is needed."""
    if get_origin(hint) in (Union, UnionType):
        (hint,) = (each for each in get_args(hint) if each is not NoneType)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint
    return json.loads if get_origin(hint) is dict else None
