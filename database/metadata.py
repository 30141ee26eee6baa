"""The one description of the tables, for SQLAlchemy Core. Each noun adds its tables to it, beside its SQL.

The migrations create the tables. Checks, triggers and grants exist only in them. A test compares both.
"""

from typing import Any

from sqlalchemy import Column, DateTime, MetaData, func
from sqlalchemy.types import TypeEngine

METADATA = MetaData()

# timestamptz: a time in UTC, whatever the session's time zone is.
Timestamp = DateTime(timezone=True)

# The time now, by PostgreSQL's clock. `now()` would be the time when the transaction began, before it waited for locks.
CLOCK = func.clock_timestamp(type_=Timestamp)


def required(name: str, type_: TypeEngine[Any] | type[TypeEngine[Any]], *details: Any, **options: Any) -> Column[Any]:
    """A column that is NOT NULL."""
    return Column(name, type_, *details, nullable=False, **options)
