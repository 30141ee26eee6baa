"""The steps of a rebuild: each goes on from the place in its row, and is safe to repeat."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from temporalio import activity
from temporalio.client import Client

from activities.recovery import report_progress, workflow_runs
from activities.refusals import refusals_as_answers
from ledger.ids import RebuildId
from ledger.workflow_ids import rebuild_workflow_id
from staff.rebuilds.postgres import Rebuilds
from staff.rebuilds.rebuild import RebuildProgress

# One step looks at accounts for so long. A worker that stops lets its steps end within a longer time.
STEP_SECONDS = 5

# A long account may take a minute without an answer, which PostgreSQL limits. The worker shows that it lives meanwhile.
PULSE_SECONDS = 4


class RebuildSteps:
    """Steps over the rebuilds of one database. `grace_seconds` means the same as in `RecoverySteps`."""

    def __init__(
        self, client: Client, rebuilds: Rebuilds, grace_seconds: int, step_seconds: int = STEP_SECONDS
    ) -> None:
        self._client = client
        self._rebuilds = rebuilds
        self._grace_seconds = grace_seconds
        self._step_seconds = step_seconds

    @activity.defn
    async def rebuild_accounts(self, rebuild_id: RebuildId) -> RebuildProgress:
        """Rebuild the next accounts that are not as their entries require, and complete the rebuild after the last.

        Refuses as `rebuild_not_found`. A repeat goes on from the place that was noted last.
        """
        with refusals_as_answers():
            async with _pulse():
                return await self._rebuilds.proceed(rebuild_id, self._step_seconds)

    @activity.defn
    async def find_stranded_rebuilds(self) -> list[RebuildId]:
        """Rebuilds that are not completed and whose workflow does not run."""
        found = await self._rebuilds.running_since(self._grace_seconds)
        return [one for one in found if not await workflow_runs(self._client, rebuild_workflow_id(one))]


@asynccontextmanager
async def _pulse() -> AsyncIterator[None]:
    """Tell Temporal again and again that the worker lives: one that dies is replaced after some seconds."""

    async def beat() -> None:
        while True:
            report_progress()
            await asyncio.sleep(PULSE_SECONDS)

    beating = asyncio.create_task(beat())
    try:
        yield
    finally:
        beating.cancel()
