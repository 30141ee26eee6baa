"""A worker keeps the running totals near the present, whatever PostgreSQL answers."""

import asyncio

import pytest
from structlog.testing import capture_logs

import background_tasks
from database.connections import Database
from tests.connections import Connection
from tests.waiting import until


async def test_running_totals_are_kept_again_once_the_schema_has_what_counts_them(
    database: Database, owner: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background_tasks, "SETTLE_EVERY_SECONDS", 0.01)
    await owner.execute("ALTER FUNCTION settle_totals RENAME TO not_yet_migrated")

    async def is_logged_twice() -> bool:
        return len(logged) >= 2

    async def is_noted() -> bool:
        return bool(await owner.fetchval("SELECT candidate_until IS NOT NULL FROM totals_position"))

    await owner.execute("UPDATE totals_position SET candidate_until = NULL, candidate_xid = NULL")
    with capture_logs() as logged:
        keeping = asyncio.create_task(background_tasks.keep_totals(database))
        try:
            await until(is_logged_twice, "a line for each attempt", seconds=5)
            await owner.execute("ALTER FUNCTION not_yet_migrated RENAME TO settle_totals")
            await until(is_noted, "the totals are counted again", seconds=5)
        finally:
            keeping.cancel()
    assert {line["event"] for line in logged} == {"the running totals were not brought up to date"}
    assert not any("\n" in line["error"] for line in logged)
