"""The id of the request that started a workflow, as a header: of the workflow, and then of each of its steps.

Only log lines use it. A workflow never acts on it, so a history without the header replays the same.
"""

from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.worker import (
    ExecuteWorkflowInput,
    Interceptor,
    StartActivityInput,
    StartLocalActivityInput,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
)

REQUEST_ID = "request-id"


class RequestHeader(Interceptor):
    """Hands the header on to every step of a worker's workflows."""

    def workflow_interceptor_class(self, input: WorkflowInterceptorClassInput) -> type[WorkflowInboundInterceptor]:  # noqa: A002, ARG002
        """Called for each workflow that the worker runs."""
        return _RequestIdReader


class _RequestIdReader(WorkflowInboundInterceptor):
    def init(self, outbound: WorkflowOutboundInterceptor) -> None:
        self._outbound = _RequestIdForwarder(outbound)
        super().init(self._outbound)

    async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:  # noqa: A002 - the SDK's name
        self._outbound.request_id = input.headers.get(REQUEST_ID)
        return await super().execute_workflow(input)


class _RequestIdForwarder(WorkflowOutboundInterceptor):
    request_id: Payload | None = None

    def start_activity(self, input: StartActivityInput) -> Any:  # noqa: A002
        if self.request_id is not None:
            input.headers = {**input.headers, REQUEST_ID: self.request_id}
        return super().start_activity(input)

    def start_local_activity(self, input: StartLocalActivityInput) -> Any:  # noqa: A002
        if self.request_id is not None:
            input.headers = {**input.headers, REQUEST_ID: self.request_id}
        return super().start_local_activity(input)
