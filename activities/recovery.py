"""The steps of recovery: find transfers that nobody drives, and end those whose money never moved."""

import structlog
from temporalio import activity
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from ledger.postgres.book import Book
from ledger.recovery import Stranded
from ledger.refusals import LedgerConflict
from ledger.transfers import Ending, State, Step

log = structlog.get_logger()


class RecoverySteps:
    """Looks at what has not moved for `grace_seconds`, so that a transfer on its way is left alone."""

    def __init__(self, client: Client, book: Book, grace_seconds: int) -> None:
        self._client = client
        self._book = book
        self._grace_seconds = grace_seconds

    @activity.defn
    async def find_stranded(self) -> list[Stranded]:
        """Transfers that are not final and whose workflow does not run, oldest first."""
        stranded = []
        async for order, state in self._book.unfinished(older_than_seconds=self._grace_seconds):
            found = Stranded(order, state)
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

    async def _runs(self, workflow_id: str) -> bool:
        try:
            description = await self._client.get_workflow_handle(workflow_id).describe()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return False
            raise
        return description.status is WorkflowExecutionStatus.RUNNING
