"""The steps of recovery: find transfers that nobody drives, and end those whose money never moved."""

import random

import structlog
from temporalio import activity
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from ledger.postgres.book import Book
from ledger.recovery import Stranded
from ledger.refusals import LedgerConflict
from ledger.transfers import Ending, State, Step

log = structlog.get_logger()

RUNNING = "WorkflowType='TransferWorkflow' AND ExecutionStatus='Running'"

# Temporal's list is a second database, and may be wrong for good after a restore. So one in so many of the transfers
# that it says are driven is asked about by ID in each look: with a look a minute, each within an hour or so.
ONE_IN = 30


class RecoverySteps:
    """Looks at what has not moved for `grace_seconds`, so that a transfer on its way is left alone."""

    def __init__(self, client: Client, book: Book, grace_seconds: int, asked_anyway: int = ONE_IN) -> None:
        self._client = client
        self._book = book
        self._grace_seconds = grace_seconds
        self._asked_anyway = asked_anyway

    @activity.defn
    async def find_stranded(self) -> list[Stranded]:
        """Transfers that are not final and whose workflow does not run, oldest first.

        One list of what runs spares a question for each. That list lags: what is missing from it is asked about by ID
        before it counts as stranded, and what has ended but is still in it is found by a later look.
        """
        stranded = []
        running: set[str] | None = None
        async for order, state in self._book.unfinished(older_than_seconds=self._grace_seconds):
            if running is None:
                running = await self._listed_as_running()
            found = Stranded(order, state)
            listed = order.workflow_id in running or found.recovery_id in running
            if listed and random.randrange(self._asked_anyway):  # noqa: S311 - a sample, not a secret
                continue
            if not await self._runs(order.workflow_id) and not await self._runs(found.recovery_id):
                log.warning("transfer lost its workflow", transfer_id=order.transfer_id, state=state)
                stranded.append(found)
        return stranded

    @activity.defn
    async def cancel_stranded(self, step: Step) -> bool:
        """End a transfer that has not left its source. False: it has, meanwhile, and is left alone."""
        try:
            await self._book.end(Ending(step), State.CANCELLED)
        except LedgerConflict:
            return False
        return True

    async def _listed_as_running(self) -> set[str]:
        """IDs of the transfers' workflows that run, as Temporal lists them; none where it has no list just now."""
        try:
            return {listed.id async for listed in self._client.list_workflows(RUNNING, page_size=1000)}
        except RPCError as error:
            log.warning("Temporal does not list workflows: each is asked about", error=str(error))
            return set()

    async def _runs(self, workflow_id: str) -> bool:
        try:
            description = await self._client.get_workflow_handle(workflow_id).describe()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return False
            raise
        return description.status is WorkflowExecutionStatus.RUNNING
