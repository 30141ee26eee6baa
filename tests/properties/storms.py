"""A storm: everything that people, operators and faults do to one transfer, its reversals and its disputes."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import WorkflowExecutionStatus, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from api.transfers.acceptance import next_attempt
from disputes.dispute import Dispute, DisputeDecision, DisputeRuling, DisputeTerms
from disputes.postgres.disputes import Disputes
from disputes.postgres.holds import DisputeHolds
from ledger.accounts import AccountStatus
from ledger.ids import CustomerId, TransferId
from ledger.postgres.book import Book
from ledger.postgres.reversals import Reversals
from ledger.postgres.transfer_reads import TransferReads
from ledger.refusals import ActionRefused
from ledger.transfers import MAX_ATTEMPTS, State, Step, Transfer, TransferOrder
from reviews.postgres import Reviews
from reviews.review import Decision, Ruling
from staff.permissions import Actor, Role
from staff.postgres.reversal_record import record_reversal
from staff.update_input import StaffRequest
from tests.account_status import set_account_status
from tests.orders import FINGERPRINTS, order
from tests.properties.storm_acts import RULING, TAKEN, Act, Aftermath, Cast, Tally
from tests.waiting import until
from tests.workflows.sagas import Sagas
from workflows.dispute import DisputeWorkflow
from workflows.recovery import RecoveryWorkflow
from workflows.transfer.saga import TransferWorkflow

# Ended, not there yet, nothing to reset to, or ended in the very moment of an update.
TOO_LATE = (RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT, RPCStatusCode.FAILED_PRECONDITION)


class Moot(Exception):
    """There is nothing just now that the act could be done to."""


class Storm:
    """One transfer, and everything that happens to it.

    `is_acknowledged`: its customer was told that it was accepted, and the API has written its row before. With
    `is_left_undecided` nobody decides about it after the storm, so that its review ends on its deadline.
    """

    def __init__(
        self,
        saga: Sagas,
        cast: Cast,
        wanted: TransferOrder,
        tally: Tally,
        *,
        is_acknowledged: bool,
        is_left_undecided: bool = False,
    ) -> None:
        self._saga = saga
        self._cast = cast
        self._order = wanted
        self._tally = tally
        self._is_acknowledged = is_acknowledged
        self._is_left_undecided = is_left_undecided
        self._asked: dict[str, TransferOrder] = {wanted.transfer_id: wanted}
        self._started: list[TransferOrder] = []
        database = saga.book.database
        self._transfer_reads = TransferReads(database)
        self._reversals = Reversals(database)
        self._disputes = Disputes(database)
        self._holds = DisputeHolds(database)
        self._reviews = Reviews(database, timedelta(0))

    async def begin(self) -> None:
        """Ask for the transfer, as the API does."""
        await self._saga.start(self._order)
        if self._is_acknowledged:
            await Book(self._saga.book.database, FINGERPRINTS, record_reversal).open_transfer(self._order)

    async def take(self, act: Act) -> str:
        """Do it, if it can be done just now; what is refused is refused. What came of it."""
        await asyncio.sleep(act.after_ms / 1000)  # the moment is part of the storm
        doing: Callable[[Act], Awaitable[object]] = getattr(self, f"_{act.what}")
        came_to = await self._try(doing(act))
        self._tally.count(act.what, came_to)
        return came_to

    async def _try(self, doing: Awaitable[object]) -> str:
        try:
            async with asyncio.timeout(10):
                await doing
        except Moot:
            return "moot"
        except (WorkflowUpdateFailedError, WorkflowAlreadyStartedError, ActionRefused):
            return "refused"
        except TimeoutError:
            return "unanswered"
        except RPCError as error:
            if error.status not in TOO_LATE:
                raise
            return "too late"
        return TAKEN

    async def calm(self) -> Aftermath:
        """With all faults over, people deciding and sweeps of recovery, everything ends."""
        for faulty in (self._saga.book.before, self._saga.book.after):
            faulty.clear()
        await until(self._has_ended, "the transfer, its reversals and its disputes end", 40)
        return await self._found()

    async def _has_ended(self) -> bool:
        await self._sweep(Act("sweep", 0))
        if await self._transfer(self._order) is None:
            # Its workflow went before its row was written. That happens only to a request that had no answer, which its
            # customer repeats with its key: the API finds the key used in Temporal, and writes the row.
            assert not self._is_acknowledged, "what was acknowledged has vanished"
            await self._saga.book.open_transfer(self._order)
        found = await self._found()
        for transfer in (found.transfer, *found.reversals):
            if transfer.state is State.IN_REVIEW and not self._is_left_undecided:
                for decider in self._cast.staff:
                    await self._try(self._record_decision(transfer.order, decider, Ruling.APPROVE))
                await self._try(self._nudge_review(transfer.order))
        for dispute in found.disputes:
            if not dispute.state.is_final:
                await self._try(self._rule_to_reject(Act("rule_to_reject", 0)))
                await self._nudge(dispute)
        moving = [one.id for one in (found.transfer, *found.reversals) if not one.state.is_final]
        if moving or not all(dispute.state.is_final for dispute in found.disputes):
            return False
        return not await self._is_any_unwritten({one.id: one.attempt for one in (found.transfer, *found.reversals)})

    async def _is_any_unwritten(self, written: dict[TransferId, int]) -> bool:
        """Whether a reversal or an attempt that was asked for still waits to be written down."""
        for workflow_id in [one.workflow_id for one in self._started if one.attempt > written.get(one.transfer_id, 0)]:
            described = await self._handle(workflow_id).describe()
            if described.status is WorkflowExecutionStatus.RUNNING:
                return True
        return False

    async def _begin(self, wanted: TransferOrder) -> None:
        await self._saga.start(wanted)
        self._started.append(wanted)

    async def _found(self) -> Aftermath:
        transfer = await self._transfer(self._order)
        assert transfer is not None
        return Aftermath(transfer, await self._all_reversals(), await self._all_disputes())

    async def _transfer(self, wanted: TransferOrder) -> Transfer | None:
        return await self._transfer_reads.visible(wanted.owner_id, wanted.transfer_id)

    async def _all_reversals(self) -> list[Transfer]:
        """Oldest first."""
        found = await self._reversals.of(self._order.owner_id, self._order.transfer_id, None, 100, of_anybody=True)
        return found.items[::-1]

    async def _all_disputes(self) -> list[Dispute]:
        """Oldest first."""
        return (await self._disputes.all_of(self._cast.payer.id, None, None, 100)).items[::-1]

    async def _target(self, act: Act) -> TransferOrder:
        """The transfer or one of its reversals, as its row tells it where there is one."""
        written = {reversal.id: reversal.order for reversal in await self._all_reversals()}
        everything = list({**self._asked, **written, self._order.transfer_id: self._order}.values())
        return everything[act.on % len(everything)]

    async def _cancel(self, act: Act) -> None:
        await self._handle((await self._target(act)).workflow_id).cancel()

    async def _terminate(self, act: Act) -> None:
        await self._handle((await self._target(act)).workflow_id).terminate("in a storm")

    async def _reset(self, act: Act) -> None:
        await self._reset_workflow((await self._target(act)).workflow_id, act.which)

    async def _start(self, act: Act) -> None:
        wanted = await self._target(act)
        await self._begin(replace(wanted, workflow_id=f"{wanted.workflow_id}/again/{act.which}"))

    async def _approve(self, act: Act) -> None:
        await self._decide_review(act, Ruling.APPROVE)

    async def _reject(self, act: Act) -> None:
        await self._decide_review(act, Ruling.REJECT)

    async def _decide_review(self, act: Act, ruling: Ruling) -> None:
        """By the workflow's update, or by the API, which writes the rows and nudges; some of its nudges are lost."""
        decider, wanted = self._cast.staff[act.which % 2], await self._target(act)
        if act.which in (2, 3):
            await self._update(wanted.workflow_id, "decide", Decision(decider, ruling, "in a storm"))
            return
        await self._record_decision(wanted, decider, ruling)
        if act.which in (0, 1):
            await self._nudge_review(wanted)

    async def _record_decision(self, wanted: TransferOrder, decider: CustomerId, ruling: Ruling) -> None:
        transfer = await self._transfer(wanted)
        if transfer is None:
            raise Moot
        await self._reviews.decide(Step(transfer.id, transfer.attempt), Decision(decider, ruling, "in a storm"))

    async def _nudge_review(self, wanted: TransferOrder) -> None:
        await self._handle(wanted.workflow_id).signal(TransferWorkflow.review_changed)

    async def _retry_now(self, act: Act) -> None:
        await self._instruct(act, "retry_now")

    async def _give_back(self, act: Act) -> None:
        await self._instruct(act, "give_back")

    async def _instruct(self, act: Act, what: str) -> None:
        instruction = StaffRequest(self._cast.staff[0], "in a storm")
        await self._update((await self._target(act)).workflow_id, what, instruction)

    async def _retry(self, act: Act) -> None:
        wanted = await self._target(act)
        transfer = await self._transfer(wanted)
        if transfer is None or transfer.state not in (State.FAILED, State.COMPENSATED):
            raise Moot
        if transfer.attempt == MAX_ATTEMPTS:
            raise Moot
        again = FINGERPRINTS.signed_attempt(next_attempt(transfer))
        if wanted.transfer_id == self._order.transfer_id:
            self._order = again
        await self._begin(again)

    async def _sweep(self, _: Act) -> None:
        await self._saga.client.execute_workflow(
            RecoveryWorkflow.run, id=f"recovery-{secrets.token_hex(6)}", task_queue=self._saga.settings.task_queue
        )

    async def _freeze_source(self, _: Act) -> None:
        await set_account_status(self._saga.book.database, self._cast.payer.account_id, AccountStatus.FROZEN)

    async def _freeze_destination(self, _: Act) -> None:
        await set_account_status(self._saga.book.database, self._cast.payee.account_id, AccountStatus.FROZEN)

    async def _unfreeze(self, _: Act) -> None:
        for owner in (self._cast.payer, self._cast.payee):
            await set_account_status(self._saga.book.database, owner.account_id, AccountStatus.ACTIVE)

    async def _reverse(self, act: Act) -> None:
        """By the payee or by an admin, under one of three keys of theirs, which others may have used."""
        by = (self._cast.payee.id, self._cast.staff[-1])[act.which % 2]
        await self._begin(self._reversal(by, f"key {act.which // 2}", act.on))

    async def _reverse_at_once(self, act: Act) -> None:
        """Two that do not fit together, and one of them twice."""
        payee, admin = self._cast.payee.id, self._cast.staff[-1]
        first, second = self._reversal(payee, f"race {act.which}", 1), self._reversal(admin, f"race {act.which}", 1)
        twice = replace(first, workflow_id=f"{first.workflow_id}/again")
        started = await asyncio.gather(*map(self._begin, (first, second, twice)), return_exceptions=True)
        for one in started:
            if isinstance(one, BaseException) and not isinstance(one, WorkflowAlreadyStartedError):
                raise one

    def _reversal(self, by: CustomerId, key: str, part: int) -> TransferOrder:
        """All of it, two thirds, half, a third, a little, or more than it was."""
        whole = self._order.amount_minor
        amount = (whole, whole * 2 // 3, whole // 2, whole // 3, 1, whole + 1)[part]
        wanted = order(
            by,
            self._order.destination_account_id,
            self._order.source_account_id,
            amount,
            key=key,
            reverses=self._order.transfer_id,
            note="in a storm",
        )
        self._asked.setdefault(wanted.transfer_id, wanted)
        return wanted

    async def _dispute(self, act: Act) -> None:
        """By the payer; some have hardly any time, and some lose what should start their workflow."""
        terms = DisputeTerms(window_days=120, deadline_seconds=1 if act.which == 5 else 14 * 24 * 60 * 60)
        opened = await self._disputes.open(self._cast.payer.id, self._order.transfer_id, "in a storm", terms)
        if opened is None:
            raise Moot
        if act.which != 4:
            await self._start_workflow(opened, opened.workflow_id)

    async def _state_case(self, act: Act) -> None:
        dispute = await self._newest()
        author = (self._cast.payer.id, self._cast.payee.id)[act.which % 2]
        await self._disputes.add_statement(dispute.id, author, "in a storm")
        await self._nudge(dispute)

    async def _hold(self, act: Act) -> None:
        await self._holds.hold((await self._newest()).id, self._somebody(act), "in a storm")

    async def _release(self, act: Act) -> None:
        await self._holds.release((await self._newest()).id, self._somebody(act), "in a storm")

    def _somebody(self, act: Act) -> Actor:
        return Actor(self._cast.staff[act.which % 2], Role.OPERATOR)

    async def _rule_to_reverse(self, act: Act) -> None:
        whole = self._order.amount_minor
        amount = (None, whole, whole // 2, whole // 3, 1, None)[act.on]
        await self._rule(act, DisputeRuling.REVERSE, amount)

    async def _rule_to_reject(self, act: Act) -> None:
        await self._rule(act, DisputeRuling.REJECT)

    async def _rule_at_once(self, act: Act) -> None:
        acts_at_once = (replace(act, what=what, which=which, after_ms=0) for what in RULING[:2] for which in (0, 1))
        if TAKEN not in await asyncio.gather(*map(self.take, acts_at_once)):
            raise Moot

    async def _rule(self, act: Act, ruling: DisputeRuling, amount_minor: int | None = None) -> None:
        """By the admin API, which writes the row and nudges, or by the workflow's update."""
        dispute = await self._newest()
        decision = DisputeDecision(self._cast.staff[act.which % 2], ruling, "in a storm", amount_minor)
        if act.which in (2, 3):
            await self._update(dispute.workflow_id, "decide", decision)
        else:
            await self._disputes.decide(dispute.id, decision)
            await self._nudge(dispute)

    async def _cancel_dispute(self, _: Act) -> None:
        await self._handle((await self._newest()).workflow_id).cancel()

    async def _terminate_dispute(self, _: Act) -> None:
        await self._handle((await self._newest()).workflow_id).terminate("in a storm")

    async def _reset_dispute(self, act: Act) -> None:
        await self._reset_workflow((await self._newest()).workflow_id, act.which)

    async def _start_dispute(self, act: Act) -> None:
        dispute = await self._newest()
        beside = f"/again/{act.which}" if act.which % 2 else ""
        await self._start_workflow(dispute, f"{dispute.workflow_id}{beside}")

    async def _newest(self) -> Dispute:
        disputes = await self._all_disputes()
        if not disputes:
            raise Moot
        return disputes[-1]

    async def _nudge(self, dispute: Dispute) -> None:
        """As the API does: one that cannot be told is lost."""
        try:
            await self._handle(dispute.workflow_id).signal(DisputeWorkflow.look_again)
        except RPCError as error:
            if error.status not in TOO_LATE:
                raise

    async def _start_workflow(self, dispute: Dispute, workflow_id: str) -> None:
        await self._saga.client.start_workflow(
            DisputeWorkflow.run,
            dispute.id,
            id=workflow_id,
            task_queue=self._saga.settings.task_queue,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        )

    async def _reset_workflow(self, workflow_id: str, which: int) -> None:
        history = await self._handle(workflow_id).fetch_history()
        done = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
        tasks = [event.event_id for event in history.events if event.event_type == done]
        if not tasks:
            raise Moot
        request = ResetWorkflowExecutionRequest(
            namespace=self._saga.client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=workflow_id),
            reason="in a storm",
            workflow_task_finish_event_id=tasks[which % len(tasks)],
            request_id=secrets.token_hex(8),
        )
        await self._saga.client.workflow_service.reset_workflow_execution(request)

    async def _update(self, workflow_id: str, name: str, argument: object) -> None:
        await self._handle(workflow_id).execute_update(name, argument)

    def _handle(self, workflow_id: str) -> WorkflowHandle[Any, Any]:
        return self._saga.client.get_workflow_handle(workflow_id)
