"""The steps of recovery: find transfers that nobody drives, and end those whose money never moved."""

import asyncio
import random
from time import monotonic

import structlog
from temporalio import activity
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from ledger.postgres.book import Book
from ledger.postgres.transfer_reads import Unfinished
from ledger.recovery import Stranded, StrandedTransfers
from ledger.refusals import LedgerConflict
from ledger.transfers import Ending, State, Step

log = structlog.get_logger()

RUNNING = "WorkflowType='TransferWorkflow' AND ExecutionStatus='Running'"

# Temporal's list is a second database, and may be wrong for good after a restore. So one in so many of the transfers
# that it says are driven is asked about by ID in each look: with a look a minute, each within an hour or so.
ONE_IN = 30

# What one look may find, and how long it may look. Where Temporal lost everything there are more: the next looks find
# them. So many orders are a quarter of what Temporal takes in one answer, and the time is well within the step's own.
AT_MOST = 500
WITHIN_SECONDS = 40


class RecoverySteps:
    """Looks at what has not moved for `grace_seconds`, so that a transfer on its way is left alone.

    One look finds `at_most` transfers, and ends after `within_seconds`.
    """

    def __init__(
        self,
        client: Client,
        book: Book,
        grace_seconds: int,
        *,
        asked_anyway: int = ONE_IN,
        at_most: int = AT_MOST,
        within_seconds: int = WITHIN_SECONDS,
    ) -> None:
        self._client = client
        self._book = book
        self._unfinished = Unfinished(book.database)
        self._grace_seconds = grace_seconds
        self._asked_anyway = asked_anyway
        self._at_most = at_most
        self._within_seconds = within_seconds

    @activity.defn
    async def find_stranded(self) -> StrandedTransfers:
        """Transfers that are not final and whose workflow does not run: those in transit first, then the oldest.

        One list of what runs spares a question for each. That list lags: what is missing from it is asked about by ID
        before it counts as stranded, and what has ended but is still in it is found by a later look.
        """
        until = monotonic() + self._within_seconds
        stranded: list[Stranded] = []
        running: set[str] | None = None
        async for order, state in self._unfinished.transfers(older_than_seconds=self._grace_seconds):
            if len(stranded) >= self._at_most or monotonic() >= until:
                return StrandedTransfers(stranded, more=True)
            if running is None:
                running = await self._listed_as_running()
            found = Stranded(order, state)
            listed = order.workflow_id in running or found.recovery_id in running
            if listed and random.randrange(self._asked_anyway):  # noqa: S311 - a sample, not a secret
                continue
            if await self._is_lost(found):
                log.warning("transfer lost its workflow", transfer_id=order.transfer_id, state=state)
                stranded.append(found)
        return StrandedTransfers(stranded, more=False)

    @activity.defn
    async def cancel_stranded(self, step: Step) -> bool:
        """End a transfer that has not left its source. False: it has, meanwhile, and is left alone."""
        try:
            await self._book.end(Ending(step), State.CANCELLED)
        except LedgerConflict:
            return False
        return True

    async def _listed_as_running(self) -> set[str]:
        """IDs of the transfers' workflows that run, as far as Temporal lists them in half of the time."""
        listed: set[str] = set()
        try:
            async with asyncio.timeout(self._within_seconds // 2):
                async for workflow in self._client.list_workflows(RUNNING, page_size=1000):
                    listed.add(workflow.id)
        except (RPCError, TimeoutError) as error:
            log.warning("Temporal does not list all workflows: the others are asked about", error=str(error))
        return listed

    async def _is_lost(self, found: Stranded) -> bool:
        """Whether nothing drives it, and it did not end meanwhile: a workflow is over once it has written the end."""
        if await self._runs(found.order.workflow_id) or await self._runs(found.recovery_id):
            return False
        return await self._unfinished.has_not_moved(found.order, found.state)

    async def _runs(self, workflow_id: str) -> bool:
        try:
            description = await self._client.get_workflow_handle(workflow_id).describe()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return False
            raise
        return description.status is WorkflowExecutionStatus.RUNNING
