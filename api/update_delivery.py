"""Sends an update to a workflow until Temporal has delivered it."""

import asyncio
from datetime import timedelta
from typing import Any

from temporalio.client import WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode

# An update is answered after the workflow has carried it out.
UPDATE_LIMIT = timedelta(seconds=10)
# An update that was not delivered is sent again after this pause.
UPDATE_PAUSE = 0.1
_UNDELIVERED = (RPCStatusCode.FAILED_PRECONDITION, RPCStatusCode.ABORTED)


async def delivered_update(handle: WorkflowHandle[Any, Any], name: str, argument: object, update_id: str) -> str:
    """The update's answer. Sent again where Temporal could not deliver it, because something else met the workflow.

    A cancellation or another update that arrives while a workflow ends makes Temporal repeat the workflow's task, and
    refuse the updates that it carried.
    """
    deadline = asyncio.get_running_loop().time() + UPDATE_LIMIT.total_seconds()
    while True:
        try:
            answer: str = await handle.execute_update(
                name, argument, id=update_id, result_type=str, rpc_timeout=UPDATE_LIMIT
            )
        except RPCError as error:
            if error.status not in _UNDELIVERED or asyncio.get_running_loop().time() > deadline:
                raise
        else:
            return answer
        await asyncio.sleep(UPDATE_PAUSE)
