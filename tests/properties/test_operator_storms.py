"""Whatever operators do, in any order and at any moment, with faults on: no money is made or lost, and it ends.

A storm is a list of actions against one transfer: instructions, decisions, cancels, terminations, resets to any task,
duplicate starts, retries, recoveries, frozen accounts, and steps whose answers are lost. `HYPOTHESIS_PROFILE=long`
draws other storms in every run.
"""

import asyncio
import os
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from ledger.accounts import AccountStatus
from ledger.ids import CustomerId
from ledger.postgres.audit import audit
from ledger.postgres.customers import Customers
from ledger.postgres.database import Database
from ledger.postgres.statements import Statements
from ledger.reviews import Decision, Ruling
from ledger.steering import Instruction
from ledger.transfers import MAX_ATTEMPTS, State, Transfer, TransferOrder
from tests.orders import Holder, funded, holder, order, staff
from tests.waiting import until
from tests.workflows.sagas import Sagas, UnreliableBook, line_breaks, sagas
from workflows.recovery import RecoveryWorkflow

LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
STORMS = 300 if LONG else 6
LIMIT_SECONDS = 1_800 if LONG else 110

FUNDS, SMALL, REVIEWED = 10_000, 2_500, 6_000
STEPS = ("open", "debit", "credit", "refund", "end", "notify")


@dataclass(frozen=True)
class Fault:
    """The next calls of a step get no answer, before or after it was done."""

    step: str
    after: bool
    times: int


@dataclass(frozen=True)
class Act:
    """What somebody does, and how many milliseconds after the act before."""

    what: str
    after_ms: int
    which: int = 0


# Ended, not there yet, nothing to reset to, or ended in the very moment of an update.
TOO_LATE = (RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT, RPCStatusCode.FAILED_PRECONDITION)

ACTS = ("cancel", "terminate", "reset", "start", "approve", "reject", "retry_now", "give_back", "retry", "sweep")
FREEZES = ("freeze_source", "freeze_destination", "unfreeze")

faults = st.builds(Fault, st.sampled_from(STEPS), st.booleans(), st.integers(1, 3))
acts = st.builds(Act, st.sampled_from(ACTS + FREEZES), st.integers(0, 60), st.integers(0, 5))


class Storm:
    """One transfer, and everything that happens to it."""

    def __init__(self, saga: Sagas, statements: Statements, ada: Holder, ben: Holder, wanted: TransferOrder) -> None:
        self._saga = saga
        self._statements = statements
        self._ada = ada
        self._ben = ben
        self._order = wanted
        self._staff: dict[int, CustomerId] = {}

    async def take(self, act: Act) -> None:
        """Do it, if it can be done just now; what is refused is refused."""
        await asyncio.sleep(act.after_ms / 1000)  # the moment is part of the storm
        doing: Callable[[Act], Awaitable[object]] = getattr(self, f"_{act.what}")
        try:
            async with asyncio.timeout(10):
                await doing(act)
        except (WorkflowUpdateFailedError, WorkflowAlreadyStartedError, TimeoutError):
            pass
        except RPCError as error:
            if error.status not in TOO_LATE:
                raise

    async def transfer(self) -> Transfer | None:
        return await self._statements.transfer(self._ada.id, self._order.transfer_id)

    async def calm(self) -> Transfer:
        """With all faults over, reviewers deciding and recovery looking, the transfer ends."""
        for faulty in (self._saga.book.before, self._saga.book.after):
            faulty.clear()

        async def has_ended() -> bool:
            await self._sweep(Act("sweep", 0))
            transfer = await self.transfer()
            if transfer is not None and transfer.state is State.IN_REVIEW:
                for decider in range(2):
                    await self.take(Act("approve", 0, decider))
            if transfer is None:
                # Its workflow went before its row was written: nobody was told that it was accepted. Send it again.
                await self._saga.book.open_transfer(self._order)
            return transfer is not None and transfer.state.is_final

        await until(has_ended, "the transfer ends", 40)
        transfer = await self.transfer()
        assert transfer is not None
        return transfer

    @property
    def _workflow(self) -> WorkflowExecution:
        return WorkflowExecution(workflow_id=self._order.workflow_id)

    async def _cancel(self, _: Act) -> None:
        await self._saga.client.get_workflow_handle(self._order.workflow_id).cancel()

    async def _terminate(self, _: Act) -> None:
        await self._saga.client.get_workflow_handle(self._order.workflow_id).terminate("in a storm")

    async def _reset(self, act: Act) -> None:
        handle = self._saga.client.get_workflow_handle(self._order.workflow_id)
        history = await handle.fetch_history()
        done = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
        tasks = [event.event_id for event in history.events if event.event_type == done]
        if tasks:
            request = ResetWorkflowExecutionRequest(
                namespace=self._saga.client.namespace,
                workflow_execution=self._workflow,
                reason="in a storm",
                workflow_task_finish_event_id=tasks[act.which % len(tasks)],
                request_id=secrets.token_hex(8),
            )
            await self._saga.client.workflow_service.reset_workflow_execution(request)

    async def _start(self, act: Act) -> None:
        await self._saga.start(replace(self._order, workflow_id=f"{self._order.workflow_id}/again/{act.which}"))

    async def _approve(self, act: Act) -> None:
        await self._update("decide", Decision(await self._one_of_staff(act.which), Ruling.APPROVE, "in a storm"))

    async def _reject(self, act: Act) -> None:
        await self._update("decide", Decision(await self._one_of_staff(act.which), Ruling.REJECT, "in a storm"))

    async def _retry_now(self, _: Act) -> None:
        await self._update("retry_now", Instruction(await self._one_of_staff(0), "in a storm"))

    async def _give_back(self, _: Act) -> None:
        await self._update("give_back", Instruction(await self._one_of_staff(0), "in a storm"))

    async def _one_of_staff(self, number: int) -> CustomerId:
        if number not in self._staff:
            self._staff[number] = await staff(self._saga.book.database)
        return self._staff[number]

    async def _update(self, name: str, argument: object) -> None:
        await self._saga.client.get_workflow_handle(self._order.workflow_id).execute_update(name, argument)

    async def _retry(self, _: Act) -> None:
        transfer = await self.transfer()
        if transfer is None or transfer.state not in (State.FAILED, State.COMPENSATED):
            return
        if transfer.attempt < MAX_ATTEMPTS:
            attempt = transfer.attempt + 1
            first = self._order.workflow_id.split(" #")[0]
            self._order = replace(transfer.order, attempt=attempt, workflow_id=f"{first} #{attempt}")
            await self._saga.start(self._order)

    async def _sweep(self, _: Act) -> None:
        await self._saga.client.execute_workflow(
            RecoveryWorkflow.run, id=f"recovery-{secrets.token_hex(6)}", task_queue=self._saga.settings.task_queue
        )

    async def _freeze_source(self, _: Act) -> None:
        await self._saga.book.set_account_status(self._ada.account_id, AccountStatus.FROZEN)

    async def _freeze_destination(self, _: Act) -> None:
        await self._saga.book.set_account_status(self._ben.account_id, AccountStatus.FROZEN)

    async def _unfreeze(self, _: Act) -> None:
        for owner in (self._ada, self._ben):
            await self._saga.book.set_account_status(owner.account_id, AccountStatus.ACTIVE)


@pytest.fixture
def book(database: Database) -> UnreliableBook:
    return UnreliableBook(database)


@pytest.mark.timeout(LIMIT_SECONDS)
@settings(max_examples=STORMS)
@given(
    amount=st.sampled_from([SMALL, REVIEWED, FUNDS + 1]),
    broken=st.lists(faults, max_size=4),
    storm=st.lists(acts, min_size=1, max_size=8),
)
async def test_no_storm_makes_or_loses_money(
    client: Client,
    database: Database,
    book: UnreliableBook,
    customers: Customers,
    statements: Statements,
    amount: int,
    broken: list[Fault],
    storm: list[Act],
) -> None:
    ada, ben = await funded(customers, book, FUNDS), await holder(customers)
    careful = {"recovery_grace_seconds": 0, "review_from_major": 50, "stuck_after_seconds": 1}
    async with sagas(client, book, rules=None, workflows=None, **careful) as saga:
        for fault in broken:
            (book.after if fault.after else book.before)[fault.step] += [line_breaks] * fault.times
        wanted = order(ada.id, ada.account_id, ben.account_id, amount)
        raging = Storm(saga, statements, ada, ben, wanted)
        await saga.start(wanted)
        for act in storm:
            await raging.take(act)
        ended = await raging.calm()
    found = await audit(database)
    assert found.clean, found.broken
    held = [account.balance_minor for owner in (ada, ben) for account in await statements.accounts(owner.id)]
    assert held == ([FUNDS - amount, amount] if ended.state is State.COMPLETED else [FUNDS, 0])
