"""The one description of the tables, for SQLAlchemy Core. Each noun adds its tables to it, beside its SQL.

The migrations create the tables; checks, triggers and grants are theirs alone. A test compares both.
"""

from typing import Any

from sqlalchemy import Column, DateTime, MetaData
from sqlalchemy.types import TypeEngine

METADATA = MetaData()

# timestamptz: a moment in UTC, whatever the session's time zone is.
Timestamp = DateTime(timezone=True)


def required(name: str, type_: TypeEngine[Any] | type[TypeEngine[Any]], *details: Any, **options: Any) -> Column[Any]:
    """A column that is NOT NULL."""
    return Column(name, type_, *details, nullable=False, **options)
