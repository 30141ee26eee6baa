"""Brings a database to the newest schema, beside the load. Runs as the login role, which owns the tables."""

import asyncio
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy
import structlog
from alembic import command
from alembic.config import Config
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from database.connections import Unavailable, in_doubt
from database.schema_changes import SHORT_LOCKS

log = structlog.get_logger()

_FOLDER = Path(__file__).resolve().parents[1] / "migrations"

# Any number: it only has to be the same in every process that migrates.
_ADVISORY_LOCK = 7_265_420_113
_POLL_SECONDS = 0.2

# A statement that does not get its lock lets others pass, and is tried again for so long, with pauses that grow.
RETRY_SECONDS = 600
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.5, 10.0

# A lock timeout, and a deadlock with a transaction that was there first.
_LOCK_ERRORS = {"55P03", "40P01"}


async def migrate(database_url: str, *, folder: Path = _FOLDER, retry_seconds: float = RETRY_SECONDS) -> None:
    """Apply every migration that is missing. Safe to run at once from several processes: one waits for the other.

    No migration waits for a lock for longer than half a second, because everybody else waits behind it. It is tried
    again instead; migrations that are done stay done. Raises `Unavailable` where PostgreSQL gave no answer, and where
    a statement did not get its lock within `retry_seconds`.
    """
    engine = create_async_engine(make_url(database_url).set(drivername="postgresql+asyncpg"), poolclass=NullPool)
    try:
        with in_doubt(), _drivers_errors():
            async with engine.connect() as connection:
                await _lock(connection)
                await _upgrade_patiently(connection, folder, retry_seconds)
    finally:
        await engine.dispose()


@contextmanager
def _drivers_errors() -> Iterator[None]:
    """Raise the driver's own error where SQLAlchemy has wrapped it, so that it means the same as everywhere else."""
    try:
        yield
    except sqlalchemy.exc.DBAPIError as error:
        raise (error.orig and error.orig.__cause__) or error from error


async def _lock(connection: AsyncConnection) -> None:
    """Wait until no other process migrates.

    By polling: a concurrent index waits for every statement that runs, and so for one that waits for this lock.
    """
    wanted = sqlalchemy.text(f"SELECT pg_try_advisory_lock({_ADVISORY_LOCK})")
    while not (await connection.execute(wanted)).scalar_one():
        await connection.commit()
        await asyncio.sleep(_POLL_SECONDS)
    await connection.execute(sqlalchemy.text(SHORT_LOCKS))
    await connection.commit()


async def _upgrade_patiently(connection: AsyncConnection, folder: Path, retry_seconds: float) -> None:
    """Each statement has `retry_seconds` from its first failure on: an index that was made before it took its time."""
    clock = asyncio.get_running_loop()
    failing: str | None = None
    until = pause = 0.0
    while True:
        try:
            await connection.run_sync(_upgrade, folder)
            return await connection.commit()
        except DBAPIError as error:
            await connection.rollback()
            if getattr(error.orig, "sqlstate", None) not in _LOCK_ERRORS:
                raise
            if error.statement != failing:
                failing, until, pause = error.statement, clock.time() + retry_seconds, _FIRST_PAUSE_SECONDS
            if clock.time() >= until:
                raise Unavailable(
                    f"A migration did not get its lock within {retry_seconds:g} s: {error.orig}"
                ) from error
            log.warning("a migration waits for its turn", reason=str(error.orig).splitlines()[0], pause_seconds=pause)
        await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - a pause, not a secret
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)


def _upgrade(connection: sqlalchemy.Connection, folder: Path) -> None:
    config = Config()
    config.set_main_option("script_location", str(folder))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
