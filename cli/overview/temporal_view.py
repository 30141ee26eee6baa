"""What Temporal knows, for the commands that show people what goes on. Nothing here changes anything."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from api.temporal import PendingStep, RecoverySchedule, TemporalGateway, pending_step_of
from api.temporal_connection import TemporalUnavailable
from settings import Settings
from temporal_client import connect_temporal

LIMIT_SECONDS = 5
# A worker asks for work at least once a minute.
ASKED_WITHIN = timedelta(seconds=90)


@dataclass(frozen=True, slots=True)
class TemporalView:
    """A connection that people look through."""

    client: Client
    gateway: TemporalGateway

    async def workers(self) -> int:
        """How many workers have asked for work of late."""
        queue = await self.client.workflow_service.describe_task_queue(
            DescribeTaskQueueRequest(
                namespace=self.client.namespace,
                task_queue=TaskQueue(name=self.gateway.task_queue),
                task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
            )
        )
        earliest = datetime.now(UTC) - ASKED_WITHIN
        return len({one.identity for one in queue.pollers if one.last_access_time.ToDatetime(UTC) > earliest})

    async def recovery(self) -> RecoverySchedule | None:
        """The schedule of recovery; None where there is none."""
        try:
            return await self.gateway.recovery_schedule()
        except TemporalUnavailable:
            return None

    async def driver(self, workflow_ids: Sequence[str]) -> PendingStep | None:
        """The first of these workflows that runs; None: no workflow drives the transfer."""
        for workflow_id in workflow_ids:
            try:
                found = await self.client.get_workflow_handle(workflow_id).describe()
            except RPCError as error:
                if error.status is RPCStatusCode.NOT_FOUND:
                    continue
                raise
            if found.status is WorkflowExecutionStatus.RUNNING:
                return pending_step_of(found)
        return None


async def temporal_view(settings: Settings) -> TemporalView | str:
    """A connection, or why there is none. Without an address in the settings: the running stack's server."""
    from devenv.home import live_run

    if settings.temporal_address is None:
        running = live_run(settings.home)
        if running is None:
            return "no address is set (REMIT_TEMPORAL_ADDRESS), and no stack runs here"
        settings = settings.model_copy(update={"temporal_address": running.temporal_address})
    try:
        async with asyncio.timeout(LIMIT_SECONDS):
            client = await connect_temporal(settings)
    except (RuntimeError, RPCError, TimeoutError) as error:
        return str(error) or f"no answer within {LIMIT_SECONDS} s"
    return TemporalView(client, TemporalGateway(partial(connect_temporal, settings), settings.task_queue, client))
