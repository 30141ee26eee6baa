"""How long the properties look: `short` by default and the same every time, `long` to find what nobody thought of.

`HYPOTHESIS_PROFILE=long pytest tests/properties` draws other examples in every run and prints how to repeat a failure.
"""

import os
from collections.abc import AsyncIterator

import asyncpg
import pytest
from hypothesis import HealthCheck, Phase, settings

SHORT = settings(
    max_examples=100,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate, Phase.shrink],
    report_multiple_bugs=False,
    # The fixtures of a property are made once, and each example empties the books itself.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.register_profile("short", SHORT)
settings.register_profile("long", SHORT, max_examples=3_000, derandomize=False, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "short"))

_TABLES = """
    SELECT tablename FROM pg_tables
    WHERE schemaname = 'public' AND tablename NOT IN ('alembic_version', 'totals_position')
"""

# A row that the migration wrote: no totals are counted yet.
_NOTHING_COUNTED = """
    UPDATE totals_position SET counted_until = '0001-01-02 UTC', settled_until = '0001-01-02 UTC',
        candidate_until = NULL, candidate_xid = NULL
"""


class Eraser:
    """Empties the books, which the database refuses to everybody else: each example starts from nothing."""

    def __init__(self, superuser: "asyncpg.Connection[asyncpg.Record]") -> None:
        self._superuser = superuser

    async def empty(self) -> None:
        rows = await self._superuser.fetch(_TABLES)
        async with self._superuser.transaction():
            await self._superuser.execute("SET LOCAL session_replication_role = replica")
            for row in rows:
                await self._superuser.execute(f"DELETE FROM {row['tablename']}")
            await self._superuser.execute(_NOTHING_COUNTED)


@pytest.fixture
async def eraser(database_url: str) -> AsyncIterator[Eraser]:
    superuser = await asyncpg.connect(database_url)
    yield Eraser(superuser)
    await superuser.close()
