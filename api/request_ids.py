"""Sends the id of the present request with each workflow that it starts, for the log lines of the workflow's steps."""

from typing import Any

from structlog.contextvars import get_contextvars
from temporalio.api.common.v1 import Payload
from temporalio.client import Interceptor, OutboundInterceptor, StartWorkflowInput, WorkflowHandle

from workflows.interceptors.step_headers import REQUEST_ID


class SendRequestId(Interceptor):
    """For the client of an API process."""

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:  # noqa: A002 - the SDK's name
        """Called once for each client."""
        return _RequestIdSender(next)


class _RequestIdSender(OutboundInterceptor):
    async def start_workflow(self, input: StartWorkflowInput) -> WorkflowHandle[Any, Any]:  # noqa: A002
        if request_id := get_contextvars().get("request_id"):
            input.headers = {**input.headers, REQUEST_ID: Payload(data=request_id.encode())}
        return await super().start_workflow(input)
