"""The step of a batch: a decision on its way to one transfer's workflow."""

from temporalio import activity
from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from reviews.review import Decision


class BatchSteps:
    """Decisions by Temporal updates, validated by the workflow that they go to."""

    def __init__(self, client: Client) -> None:
        self._client = client

    @activity.defn
    async def send_decision(self, workflow_id: str, decision: Decision) -> str | None:
        """None where it was taken, else why not. A repeat carries the same update id and gets the first answer."""
        handle = self._client.get_workflow_handle(workflow_id)
        try:
            await handle.execute_update("decide", decision, id=f"decide/{decision.decider}/{decision.ruling}")
        except WorkflowUpdateFailedError as error:
            return error.cause.message if isinstance(error.cause, ApplicationError) else str(error.cause)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return "The transfer has ended."
            raise
        return None
