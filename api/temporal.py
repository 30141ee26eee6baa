"""The API's connection to Temporal: it starts, cancels, updates and lists workflows.

While Temporal gives no answer, a call raises `TemporalUnavailable`, which `api/http/problems.py` turns into a 503.
Only calls that nobody depends on, such as waking a workflow, log it and return.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NoReturn, TypeVar

import structlog
from temporalio.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from api.update_delivery import delivered_update
from disputes.dispute import Dispute
from ledger.ids import CustomerId, RebuildId
from ledger.recovery import Stranded
from ledger.transfers import Transfer, TransferOrder
from ledger.workflow_ids import onboarding_workflow_id, rebuild_workflow_id, tier_request_workflow_id
from tiers.tier_request import TierRequest
from workflows.books.rebuild import RebuildWorkflow
from workflows.customers.onboarding import OnboardingWorkflow
from workflows.customers.tier_request import TierRequestWorkflow
from workflows.dispute import DisputeWorkflow
from workflows.policies import TASK_TIMEOUT
from workflows.registration import RECOVERY_SCHEDULE
from workflows.search_attributes import NEEDS_ATTENTION, search_attributes, summary
from workflows.transfer.saga import TransferWorkflow

log = structlog.get_logger()
Answer = TypeVar("Answer")

# A request waits at most this long for one answer of Temporal: whoever sent it knows within 3 s that there is none.
RPC_SECONDS = 2.3
RPC_LIMIT = timedelta(seconds=RPC_SECONDS)
# What a workflow's memo tells repeats that come before its row: the fingerprint of its order, and the amount that a
# request for all that is left has found.
FINGERPRINT = "fingerprint"
AMOUNT_MINOR = "amount_minor"
# The code of an update that no running workflow could take.
NO_WORKFLOW = "no_workflow"
# Temporal's type of the failure of an update whose workflow ended after it took the update, and before it answered.
ENDED_BEFORE_ITS_ANSWER = "AcceptedUpdateCompletedWorkflow"
# A decision is recorded when its workflow is nudged, so the request waits less for that.
NUDGE_SECONDS = 1.5
# How often the connection is tried, and how long for an answer. Calls that may take longer end when there is none.
WATCH_PAUSE = 0.75
WATCH_SECONDS = 1.5
# One attempt to connect, and the longest pause before the next.
CONNECT_SECONDS = 4
LONGEST_CONNECT_PAUSE = 1
NUDGES_AT_ONCE = 10
# The most transfers in the list of those that need attention. More than that is an outage, not a list to work through.
MOST_FLAGGED = 10_000


class UpdateRefused(Exception):
    """A workflow refused an update, or none runs that could take it. `code` is stable; the message is for people."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class TemporalUnavailable(Exception):
    """Temporal gave no answer. Whether it carried out the call is unknown; the same request may be repeated."""


@asynccontextmanager
async def _unavailable_on_failure(within_seconds: float = RPC_SECONDS) -> AsyncIterator[None]:
    """Raise `TemporalUnavailable` where calls fail, or give no answer in time.

    The SDK raises `RuntimeError` where it cannot connect. Its own limit is for one try, and it tries again.
    """
    try:
        async with asyncio.timeout(within_seconds):
            yield
    except TimeoutError as error:
        raise TemporalUnavailable(f"No answer within {within_seconds:g} s.") from error
    except (RPCError, RuntimeError) as error:
        raise TemporalUnavailable(str(error)) from error


@dataclass(frozen=True, slots=True)
class StartedOrder:
    """What a workflow was started with: the fingerprint of its order, and whether it still runs.

    `amount_minor` is only told of an order for all that was left.
    """

    fingerprint: str | None
    is_running: bool
    amount_minor: int | None = None


@dataclass(frozen=True, slots=True)
class RecoverySchedule:
    """Whether an operator has paused recovery, and when it last began; None: not yet."""

    is_paused: bool
    last_sweep_at: datetime | None


@dataclass
class TemporalGateway:
    """One connection for all requests. The process may start before Temporal does."""

    connect: Callable[[], Awaitable[Client]]
    task_queue: str
    client: Client | None = None
    connected: asyncio.Event = field(default_factory=asyncio.Event)
    registration_doubted: asyncio.Event = field(default_factory=asyncio.Event)
    _nudging: set["asyncio.Task[None]"] = field(default_factory=set)
    _silent: asyncio.Event = field(default_factory=asyncio.Event)

    async def keep_connecting(self) -> Client:
        """Return the client once Temporal has answered. From then on the client reconnects by itself."""
        pause, said = 0.2, ""
        while True:
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    self.client = await self.connect()
            except (RPCError, RuntimeError, OSError) as error:  # TimeoutError is an OSError
                reason = str(error) or f"Temporal does not answer within {CONNECT_SECONDS:g} s"
                if reason != said:
                    log.warning("%s. Trying again until it does", reason)
                    said = reason
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_CONNECT_PAUSE)
            else:
                self.connected.set()
                return self.client

    async def watch(self) -> NoReturn:
        """Try the connection again and again, so that it is known at any time whether Temporal answers.

        The answers also keep Temporal from refusing the pings by which the client finds a connection that is dead.
        """
        while True:
            try:
                await self.ping()
            except TemporalUnavailable as error:
                if not self._silent.is_set():
                    log.warning("Temporal does not answer", error=str(error))
                self._silent.set()
            else:
                if self._silent.is_set():
                    log.info("Temporal answers again")
                    self.registration_doubted.set()
                self._silent.clear()
            await asyncio.sleep(WATCH_PAUSE)

    async def ping(self) -> None:
        """Raise `TemporalUnavailable` unless Temporal reports that it serves.

        Tried again within its time: Temporal closes each connection now and then, and calls fail with it.
        """
        async with _unavailable_on_failure(WATCH_SECONDS):
            healthy = await self._client.service_client.check_health(
                retry=True, timeout=timedelta(seconds=WATCH_SECONDS)
            )
        if not healthy:
            raise TemporalUnavailable("Temporal reports that it does not serve.")

    async def start(self, order: TransferOrder, *, after_another: bool = False) -> bool:
        """Start the transfer's workflow. False: a workflow with this id exists, running or closed, of any order.

        Temporal rejects duplicates also of a closed workflow, so a workflow ID never runs a transfer twice.
        `after_another` also starts it behind a closed workflow, for a key that the closed one did not get. Where the
        API and a worker share the client, the first task starts eagerly: it arrives with this answer instead of going
        through the task queue. Raises `TemporalUnavailable`: the workflow may have started, and the same call again
        finds it.
        """
        reuse = WorkflowIDReusePolicy.ALLOW_DUPLICATE if after_another else WorkflowIDReusePolicy.REJECT_DUPLICATE
        try:
            async with asyncio.timeout(RPC_SECONDS):
                await self._client.start_workflow(
                    TransferWorkflow.run,
                    order,
                    id=order.workflow_id,
                    task_queue=self.task_queue,
                    id_reuse_policy=reuse,
                    task_timeout=TASK_TIMEOUT,
                    request_eager_start=True,
                    search_attributes=search_attributes(order),
                    memo=_memo(order),
                    static_summary=summary(order),
                    rpc_timeout=RPC_LIMIT,
                )
        except WorkflowAlreadyStartedError:
            return False
        except (RPCError, RuntimeError, TimeoutError) as error:
            if isinstance(error, RPCError) and error.status is RPCStatusCode.INVALID_ARGUMENT:
                self._check_registered(error)
                raise  # a defect of this code: a repeat would not help
            raise TemporalUnavailable(str(error)) from error
        return True

    def _check_registered(self, error: RPCError) -> None:
        """Raise `TemporalUnavailable` where Temporal knows our search attributes no more: it has come back empty."""
        if "search attribute" in error.message.lower():
            self.registration_doubted.set()
            raise TemporalUnavailable(str(error)) from error

    async def cancel(self, workflow_id: str) -> None:
        """Request cancellation of a transfer's workflow. A workflow that has ended and a silent Temporal are logged."""
        try:
            async with _unavailable_on_failure():
                await self._client.get_workflow_handle(workflow_id).cancel(rpc_timeout=RPC_LIMIT)
        except TemporalUnavailable as error:
            log.info("no cancellation reached the workflow", workflow_id=workflow_id, error=str(error))

    async def update(self, transfer: Transfer, name: str, argument: object, update_id: str) -> str:
        """Send an update to the workflow that drives the transfer, and return its answer.

        The same update id gets the same answer. Raises `UpdateRefused` where the workflow refuses, none runs, or it
        ends before it answers, and `TemporalUnavailable` where no worker or no server answers in time.
        """
        for workflow_id in _drivers_of(transfer):
            handle = self._client.get_workflow_handle(workflow_id)
            try:
                answer: str = await self._unless_silent(delivered_update(handle, name, argument, update_id))
            except WorkflowUpdateFailedError as error:
                cause = error.cause
                if not isinstance(cause, ApplicationError):
                    raise TemporalUnavailable(str(cause)) from error
                if cause.type == ENDED_BEFORE_ITS_ANSWER:
                    continue
                raise UpdateRefused(cause.message, code=cause.type or "") from error
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise TemporalUnavailable(str(error)) from error
            except (WorkflowUpdateRPCTimeoutOrCancelledError, RuntimeError) as error:
                raise TemporalUnavailable(str(error)) from error
            else:
                return answer
        raise UpdateRefused("No workflow runs for the transfer any more.", code=NO_WORKFLOW)

    async def needing_attention(self) -> list[str]:
        """IDs of the workflows that Temporal marks as needing attention, at most `MOST_FLAGGED`.

        Temporal's list lags by about a second: it may miss a step that has just become stuck, and still hold one that
        has recovered. Raises `TemporalUnavailable`.
        """
        async with _unavailable_on_failure():
            found = self._client.list_workflows(
                self._flagged, limit=MOST_FLAGGED, page_size=1000, rpc_timeout=RPC_LIMIT
            )
            return [each.id async for each in found]

    async def count_needing_attention(self, within_seconds: float) -> int:
        """How many workflows need attention, in one call. Raises `TemporalUnavailable`, also when the time is over."""
        async with _unavailable_on_failure(within_seconds):
            return (await self._client.count_workflows(self._flagged)).count

    async def recovery_schedule(self) -> RecoverySchedule:
        """The schedule of recovery as Temporal has it. Raises `TemporalUnavailable`, also where there is none."""
        async with _unavailable_on_failure():
            found = await self._client.get_schedule_handle(RECOVERY_SCHEDULE).describe(rpc_timeout=RPC_LIMIT)
        begun = [action.started_at for action in found.info.recent_actions]
        return RecoverySchedule(found.schedule.state.paused, max(begun, default=None))

    async def nudge_review(self, transfer: Transfer) -> None:
        """Have the workflow that drives the transfer read its review's rows again.

        Does nothing if none runs or Temporal is away: a workflow in review also reads them at an interval.
        """
        for workflow_id in _drivers_of(transfer):
            try:
                async with asyncio.timeout(NUDGE_SECONDS):
                    handle = self._client.get_workflow_handle(workflow_id)
                    await handle.signal(TransferWorkflow.review_changed, rpc_timeout=RPC_LIMIT)
            except (RPCError, RuntimeError, TemporalUnavailable, TimeoutError) as error:
                if isinstance(error, RPCError) and error.status is RPCStatusCode.NOT_FOUND:
                    continue
                log.info("the workflow was not nudged", workflow_id=workflow_id, error=str(error))
            return

    def nudge_reviews(self, transfers: Sequence[Transfer]) -> None:
        """The same for many, in the background: nobody waits for it, and it ends with the process."""
        turns = asyncio.Semaphore(NUDGES_AT_ONCE)

        async def nudge(transfer: Transfer) -> None:
            async with turns:
                await self.nudge_review(transfer)

        for transfer in transfers:
            self._in_background(nudge(transfer))

    def _in_background(self, call: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(call)
        self._nudging.add(task)
        task.add_done_callback(self._nudging.discard)

    def begin_onboarding(self, customer_id: CustomerId) -> None:
        """Start the workflow of somebody who has registered, in the background; where that fails, recovery does."""
        self._in_background(self._onboard(customer_id))

    def nudge_onboarding(self, customer_id: CustomerId) -> None:
        """Have the customer's workflow read its rows again, or start it once more. In the background, too."""
        self._in_background(self._onboard(customer_id, signal="look_again"))

    async def _onboard(self, customer_id: CustomerId, signal: str | None = None) -> None:
        try:
            async with asyncio.timeout(RPC_SECONDS):
                await self._client.start_workflow(
                    OnboardingWorkflow.run,
                    customer_id,
                    id=onboarding_workflow_id(customer_id),
                    task_queue=self.task_queue,
                    id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                    start_signal=signal,
                    task_timeout=TASK_TIMEOUT,
                    static_summary=f"Onboarding of {customer_id}",
                    rpc_timeout=RPC_LIMIT,
                )
        except (WorkflowAlreadyStartedError, RPCError, RuntimeError, TemporalUnavailable, TimeoutError) as error:
            log.info("the onboarding's workflow did not start", customer_id=customer_id, error=str(error))

    async def start_dispute(self, dispute: Dispute) -> None:
        """Start the dispute's workflow, unless it runs. While Temporal gives no answer, recovery starts it later."""
        try:
            async with asyncio.timeout(NUDGE_SECONDS):
                await self._client.start_workflow(
                    DisputeWorkflow.run,
                    dispute.id,
                    id=dispute.workflow_id,
                    task_queue=self.task_queue,
                    id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                    task_timeout=TASK_TIMEOUT,
                    static_summary=dispute.summary,
                    rpc_timeout=RPC_LIMIT,
                )
        except (WorkflowAlreadyStartedError, RPCError, RuntimeError, TemporalUnavailable, TimeoutError) as error:
            log.info("the dispute's workflow did not start", dispute_id=dispute.id, error=str(error))

    async def nudge_dispute(self, dispute: Dispute) -> None:
        """Have the dispute's workflow read its row again. Where none runs, start one; recovery does so otherwise."""
        try:
            async with asyncio.timeout(NUDGE_SECONDS):
                handle = self._client.get_workflow_handle(dispute.workflow_id)
                await handle.signal(DisputeWorkflow.look_again, rpc_timeout=RPC_LIMIT)
        except (RPCError, RuntimeError, TemporalUnavailable, TimeoutError):
            await self.start_dispute(dispute)

    async def start_tier_request(self, request: TierRequest) -> None:
        """Start the request's workflow, unless it runs. While Temporal gives no answer, recovery starts it later."""
        try:
            async with asyncio.timeout(NUDGE_SECONDS):
                await self._client.start_workflow(
                    TierRequestWorkflow.run,
                    request.id,
                    id=tier_request_workflow_id(request.id),
                    task_queue=self.task_queue,
                    id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                    task_timeout=TASK_TIMEOUT,
                    static_summary=f"Tier {request.tier} for {request.account_id}",
                    rpc_timeout=RPC_LIMIT,
                )
        except (WorkflowAlreadyStartedError, RPCError, RuntimeError, TemporalUnavailable, TimeoutError) as error:
            log.info("the tier request's workflow did not start", request_id=request.id, error=str(error))

    async def nudge_tier_request(self, request: TierRequest) -> None:
        """Have the request's workflow read its row again. Where none runs, the row says all that it would."""
        try:
            async with asyncio.timeout(NUDGE_SECONDS):
                handle = self._client.get_workflow_handle(tier_request_workflow_id(request.id))
                await handle.signal(TierRequestWorkflow.look_again, rpc_timeout=RPC_LIMIT)
        except (RPCError, RuntimeError, TemporalUnavailable, TimeoutError) as error:
            log.info("the tier request's workflow was not nudged", request_id=request.id, error=str(error))

    async def start_rebuild(self, rebuild_id: RebuildId, what: str) -> None:
        """Start the rebuild's workflow, unless it runs. While Temporal gives no answer, recovery starts it later."""
        try:
            async with asyncio.timeout(NUDGE_SECONDS):
                await self._client.start_workflow(
                    RebuildWorkflow.run,
                    rebuild_id,
                    id=rebuild_workflow_id(rebuild_id),
                    task_queue=self.task_queue,
                    id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                    task_timeout=TASK_TIMEOUT,
                    static_summary=f"Rebuild {what} from the entries",
                    rpc_timeout=RPC_LIMIT,
                )
        except (WorkflowAlreadyStartedError, RPCError, RuntimeError, TemporalUnavailable, TimeoutError) as error:
            log.info("the rebuild's workflow did not start", rebuild_id=rebuild_id, error=str(error))

    async def started(self, workflow_id: str) -> StartedOrder | None:
        """The order that a workflow was started with; None where Temporal knows no workflow with this ID."""
        try:
            async with asyncio.timeout(RPC_SECONDS):
                description = await self._client.get_workflow_handle(workflow_id).describe(rpc_timeout=RPC_LIMIT)
        except (RPCError, RuntimeError, TimeoutError) as error:
            if isinstance(error, RPCError) and error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise TemporalUnavailable(str(error)) from error
        fingerprint: str | None = await description.memo_value(FINGERPRINT, default=None, type_hint=str)
        amount_minor: int | None = await description.memo_value(AMOUNT_MINOR, default=None, type_hint=int)
        return StartedOrder(fingerprint, description.status is WorkflowExecutionStatus.RUNNING, amount_minor)

    async def _unless_silent(self, call: Awaitable[Answer]) -> Answer:
        """The answer of a call that may take long. Raises `TemporalUnavailable` if Temporal falls silent meanwhile."""
        answering = asyncio.ensure_future(call)
        silence = asyncio.create_task(self._silent.wait())
        try:
            await asyncio.wait({answering, silence}, return_when=asyncio.FIRST_COMPLETED)
            if not answering.done():
                raise TemporalUnavailable("Temporal does not answer any more.")
            return answering.result()
        finally:
            answering.cancel()
            silence.cancel()

    @property
    def _flagged(self) -> str:
        """The list filter: of this service alone, where others share the namespace."""
        queue = self.task_queue.replace("'", "''")
        return f"{NEEDS_ATTENTION.name}=true AND ExecutionStatus='Running' AND TaskQueue='{queue}'"

    @property
    def _client(self) -> Client:
        if self.client is None:
            raise TemporalUnavailable("Temporal has not answered since this process started.")
        return self.client


def _memo(order: TransferOrder) -> dict[str, object]:
    return {FINGERPRINT: order.fingerprint} | ({AMOUNT_MINOR: order.amount_minor} if order.all_that_is_left else {})


def _drivers_of(transfer: Transfer) -> tuple[str, str]:
    """The workflows that may drive it: its own, and if that was lost the one that recovery started."""
    return transfer.workflow_id, Stranded(transfer.order, transfer.state).recovery_id
