"""What every run of a step leaves behind: how long it took, as a metric, and one line in the log if it had no answer.

A step without an answer is repeated for as long as it takes, so its line has the reason first and no trace.
"""

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from time import perf_counter
from typing import Any

import structlog
from prometheus_client import Counter, Histogram
from structlog.contextvars import bind_contextvars
from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from database.connections import Unavailable
from database.trail.cause import CAUSE, Cause
from ledger.transfers import Standing, TransferOrder

log = structlog.get_logger()

STEP_SECONDS = Histogram(
    "remit_step_seconds",
    "Time of one run of a step, by step and outcome: done, refused, no_answer, cancelled",
    ["step", "outcome"],
    buckets=[milliseconds / 1000 for milliseconds in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)],
)
TRANSFERS_ENDED = Counter(
    "remit_transfers_ended_total",
    "Transfers whose parties were notified of their end, by kind, state and failure code",
    ["kind", "state", "failure_code"],
)

# The header with the id of the request that started the workflow. The workflow's side is in `workflows`.
REQUEST_ID = "request-id"

# The arguments of the step that runs in this context, for the fields of its log lines.
_ARGUMENTS: ContextVar[Any] = ContextVar("arguments of the step", default=())


def nobody_waits() -> None:
    """Of a worker without a sequencer."""


class StepRecords(Interceptor):
    """Measures every step of a worker, and logs those without an answer.

    `after_step` is called after each run, which may have committed something.
    """

    def __init__(self, after_step: Callable[[], None] = nobody_waits) -> None:
        self._after_step = after_step

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        """Called for each run of a step."""
        return _RecordedStep(next, self._after_step)


class _RecordedStep(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, after_step: Callable[[], None]) -> None:  # noqa: A002
        super().__init__(next)
        self._after_step = after_step

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 - the SDK's names
        _ARGUMENTS.set(input.args)
        if request_id := input.headers.get(REQUEST_ID):
            named = request_id.data.decode()
            bind_contextvars(request_id=named)
            CAUSE.set(Cause(named))
        outcome, started = "no_answer", perf_counter()
        try:
            answer = await self.next.execute_activity(input)
            outcome = "done"
        except ApplicationError as error:
            if error.non_retryable:
                outcome = "refused"
            elif error.category is not ApplicationErrorCategory.BENIGN:  # else it waits behind a step that has its line
                _log_no_answer(error)
            raise
        except asyncio.CancelledError:
            outcome = "cancelled"
            raise
        except Exception as error:
            _log_no_answer(error)
            raise
        finally:
            self._after_step()
            STEP_SECONDS.labels(activity.info().activity_type, outcome).observe(perf_counter() - started)
        if activity.info().activity_type == "notify_parties":
            count_end(*input.args)
        return answer


def step_fields() -> dict[str, Any]:
    """Which step of what the current line is about; empty outside of a step."""
    if not activity.in_activity():
        return {}
    info = activity.info()
    fields: dict[str, Any] = {"activity": info.activity_type, "attempt": info.attempt}
    if info.is_local:
        fields["local"] = True
    if info.workflow_id:
        fields["workflow_id"] = info.workflow_id
    for argument in _ARGUMENTS.get():
        about = getattr(argument, "step", argument)  # an ending names its step
        if transfer_id := getattr(about, "transfer_id", None):
            fields["transfer_id"] = transfer_id
            break
    return fields


def _log_no_answer(error: Exception) -> None:
    """The reason, and what the step is follows as fields. A defect has its trace, once for each time it is begun."""
    reason = str(error) or type(error).__name__
    if isinstance(error, Unavailable):
        log.warning(reason)
    else:
        is_first = activity.info().attempt == 1
        log.error("%s: %s", type(error).__name__, reason, exc_info=error if is_first else None)


def count_end(order: TransferOrder, standing: Standing) -> None:
    """Count a transfer that has ended, in the metrics."""
    code = standing.failure.code if standing.failure else ""
    TRANSFERS_ENDED.labels(order.kind, standing.state, code).inc()
