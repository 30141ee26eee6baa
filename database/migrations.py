"""Brings a database to the newest schema. Runs as the login role, which owns the tables."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy
from alembic import command
from alembic.config import Config
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from database.connections import in_doubt

_FOLDER = Path(__file__).resolve().parents[1] / "migrations"

# Any number: it only has to be the same in every process that migrates.
_ADVISORY_LOCK = 7_265_420_113


async def migrate(database_url: str) -> None:
    """Apply every migration that is missing. Safe to run at once from several processes: one waits for the other.

    Raises `Unavailable` where PostgreSQL gave no answer.
    """
    engine = create_async_engine(make_url(database_url).set(drivername="postgresql+asyncpg"), poolclass=NullPool)
    try:
        with in_doubt(), _drivers_errors():
            async with engine.connect() as connection:
                await connection.execute(sqlalchemy.text(f"SELECT pg_advisory_lock({_ADVISORY_LOCK})"))
                await connection.commit()
                await connection.run_sync(_upgrade)
                await connection.commit()
    finally:
        await engine.dispose()


@contextmanager
def _drivers_errors() -> Iterator[None]:
    """Raise the driver's own error where SQLAlchemy has wrapped it, so that it means the same as everywhere else."""
    try:
        yield
    except sqlalchemy.exc.DBAPIError as error:
        raise (error.orig and error.orig.__cause__) or error from error


def _upgrade(connection: sqlalchemy.Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
