"""The tables that SQLAlchemy Core builds statements from are those that the migrations create."""

import re
from importlib import import_module
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from database.metadata import METADATA

OWNED_BY_ALEMBIC = {"alembic_version"}

# They are as the table that they are part of.
PARTITION = re.compile(
    r"(audit_records|request_records|outbox_events|delivery_attempts)_(default|\d{4}_\d{2})"
    r"|(account_stats|transfer_status)_[01]"
)

# Each of these modules adds its tables to METADATA when it is imported.
for module in (
    "batches.postgres.tables",
    "customers.api_keys.postgres",
    "customers.payees.postgres",
    "api.limits.postgres",
    "customers.documents.postgres",
    "customers.postgres",
    "customers.second_factor.postgres",
    "customers.sessions.postgres",
    "customers.sign_ins.postgres",
    "database.answers",
    "disputes.postgres.tables",
    "events.postgres.dead_letters",
    "events.postgres.sinks",
    "events.postgres.tables",
    "ledger.postgres.tables",
    "notifications.choices.postgres",
    "notifications.postgres",
    "projections.postgres.tables",
    "reviews.postgres",
    "screening.postgres.tables",
    "staff.postgres.tables",
    "staff.rebuilds.postgres",
    "statements.postgres.tables",
    "tiers.postgres.tables",
    "trail.postgres.tables",
    "webhooks.postgres.tables",
):
    import_module(module)


def is_described(name: str | None, kind: str, _: Any) -> bool:
    return kind != "table" or name is None or PARTITION.fullmatch(name) is None


def differences(connection: Connection) -> list[Any]:
    options = {"compare_type": True, "compare_server_default": True, "include_name": is_described}
    context = MigrationContext.configure(connection, opts=options)
    return list(compare_metadata(context, METADATA))


def primary_keys(connection: Connection) -> dict[str, list[str]]:
    schema = inspect(connection)
    return {
        table: schema.get_pk_constraint(table)["constrained_columns"]
        for table in schema.get_table_names()
        if table not in OWNED_BY_ALEMBIC and is_described(table, "table", None)
    }


async def test_the_described_tables_are_those_of_the_migrated_schema(database_url: str) -> None:
    engine = create_async_engine(make_url(database_url).set(drivername="postgresql+asyncpg"), poolclass=NullPool)
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
        assert await connection.run_sync(primary_keys) == {
            name: [column.name for column in table.primary_key.columns] for name, table in METADATA.tables.items()
        }
    await engine.dispose()
