"""The steps of recovery: find transfers without a running workflow, and end those whose money never moved."""

import asyncio
import random
from dataclasses import replace
from datetime import timedelta
from time import monotonic
from typing import TYPE_CHECKING

import structlog
from temporalio import activity
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from disputes.postgres.disputes import Disputes
from ledger.postgres.abandonments import record_abandonment
from ledger.postgres.book import Book
from ledger.postgres.transfer_reads import Unfinished
from ledger.recovery import Stranded, StrandedTransfers, SweepRun
from ledger.refusals import Abandoned, LedgerConflict, ReviewRejected
from ledger.transfers import Failure, State, Step, Transfer, TransferOrder
from reviews.postgres import find_rejection, review_is_decided

if TYPE_CHECKING:
    from database.connections import Connection

log = structlog.get_logger()

RUNNING = "WorkflowType='TransferWorkflow' AND ExecutionStatus='Running'"

# Temporal's list is a second database, which may stay wrong after a restore. So each sweep also looks up, by ID, one
# in this many of the transfers that the list shows as running. At one sweep a minute, each has its turn within about
# an hour.
ONE_IN = 30

# The most transfers that one sweep returns, and its time limit. If Temporal lost more, the next sweeps find them.
# This many orders are a quarter of the largest result that Temporal accepts. The time is well within the step's limit.
AT_MOST = 500
WITHIN_SECONDS = 40


# The most that the list of running workflows takes. It saves look-ups, and no more.
LISTING_SECONDS = 10

# The most that one look-up in Temporal takes.
LOOK_UP = timedelta(seconds=5)


def report_progress() -> None:
    """Tell Temporal that the step goes on. One that does not is tried again."""
    if activity.in_activity():
        activity.heartbeat()


def _this_run() -> SweepRun:
    info = activity.info()
    assert info.workflow_id is not None, "a sweep is a workflow"
    assert info.workflow_run_id is not None
    return SweepRun(info.workflow_id, info.workflow_run_id)


async def workflow_runs(client: Client, workflow_id: str) -> bool:
    """Whether a workflow runs under this ID. Raises `RPCError` where Temporal does not say."""
    report_progress()
    try:
        description = await client.get_workflow_handle(workflow_id).describe(rpc_timeout=LOOK_UP)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return False
        raise
    return description.status is WorkflowExecutionStatus.RUNNING


class RecoverySteps:
    """Finds transfers that have not moved for `grace_seconds`; one that is in progress is left alone.

    One sweep returns at most `at_most` transfers, and ends after `within_seconds`.
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
        self._disputes = Disputes(book.database)
        self._grace_seconds = grace_seconds
        self._asked_anyway = asked_anyway
        self._at_most = at_most
        self._within_seconds = within_seconds

    @activity.defn
    async def find_stranded(self) -> StrandedTransfers:
        """Transfers that are not final and whose workflow does not run: those in transit first, then the oldest.

        Temporal's list of running workflows saves a request for each transfer. That list lags. A workflow that it lacks
        is looked up by ID before its transfer counts as stranded; one that it still shows is found by a later sweep.
        """
        until = monotonic() + self._within_seconds
        stranded: list[Stranded] = []
        running: set[str] | None = None
        async for order, state in self._unfinished.transfers(older_than_seconds=self._grace_seconds):
            if len(stranded) >= self._at_most or monotonic() >= until:
                return StrandedTransfers(stranded, more=True)
            if running is None:
                running = await self._listed_as_running()
            report_progress()
            found = Stranded(order, state)
            listed = order.workflow_id in running or found.recovery_id in running
            if listed and random.randrange(self._asked_anyway):  # noqa: S311 - a sample, not a secret
                continue
            if await self._is_lost(found):
                log.warning("transfer lost its workflow", transfer_id=order.transfer_id, state=state)
                stranded.append(replace(found, is_decided=await self._is_decided(order)))
        return StrandedTransfers(stranded, more=False)

    @activity.defn
    async def abandon_stranded(self, step: Step) -> bool:
        """Fail a transfer whose money has not left its source, and record that this sweep did.

        As `abandoned`: it may be tried again; as `review_rejected` where a reviewer rejected it before its review
        began. False, without a change, if it has moved on, or if its review was decided meanwhile: then a later sweep
        resumes it.
        """

        async def judge(connection: "Connection", found: Transfer) -> Failure:
            is_rejected = await find_rejection(connection, step)
            await record_abandonment(connection, found, _this_run(), State.FAILED)
            return (ReviewRejected() if is_rejected else Abandoned()).failure

        try:
            await self._book.fail(step, judge)
        except LedgerConflict:
            return False
        return True

    async def _listed_as_running(self) -> set[str]:
        """IDs of running transfer workflows: as many as Temporal lists in `LISTING_SECONDS`."""
        listed: set[str] = set()
        try:
            # In less than the heartbeat's limit: the first page may be long in coming.
            async with asyncio.timeout(min(self._within_seconds // 2, LISTING_SECONDS)):
                async for workflow in self._client.list_workflows(RUNNING, page_size=1000):
                    listed.add(workflow.id)
                    report_progress()
        except (RPCError, TimeoutError) as error:
            log.warning("Temporal did not list all workflows: looking up the others by ID", error=str(error))
        return listed

    async def _is_decided(self, order: TransferOrder) -> bool:
        """Whether staff have decided what happens to it, so that it is carried out."""
        if await self._disputes.decided(order):
            return True
        async with self._book.database.connection() as connection:
            return await review_is_decided(connection, Step(order.transfer_id, order.attempt))

    async def _is_lost(self, found: Stranded) -> bool:
        """Whether no workflow drives it, and it has not moved: a workflow writes the final state before it ends."""
        for workflow_id in (found.order.workflow_id, found.recovery_id):
            if await workflow_runs(self._client, workflow_id):
                return False
        return await self._unfinished.has_not_moved(found.order, found.state)
