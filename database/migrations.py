"""Brings a database to the newest schema. Runs as the login role, which owns the tables."""

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
        with in_doubt():
            async with engine.connect() as connection:
                await connection.execute(sqlalchemy.text(f"SELECT pg_advisory_lock({_ADVISORY_LOCK})"))
                await connection.commit()
                await connection.run_sync(_upgrade)
                await connection.commit()
    finally:
        await engine.dispose()


def _upgrade(connection: sqlalchemy.Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
