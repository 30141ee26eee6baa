"""A disputed transfer, and what is done about it."""

import secrets
from dataclasses import dataclass
from typing import Any

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType, ResetReapplyType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import WorkflowHandle

from database.connections import Database
from disputes.dispute import Dispute, DisputeDecision, DisputeRuling, DisputeState, DisputeTerms
from disputes.postgres.disputes import Disputes
from ledger.ids import CustomerId
from ledger.postgres.account_reads import AccountReads
from ledger.postgres.book import Book
from staff.actions import StaffAction
from staff.postgres.actions import ActionSearch, StaffActions
from staff.postgres.reversal_record import record_reversal
from tests.orders import FINGERPRINTS, Holder, completed, order, staff
from tests.waiting import until
from tests.workflows.sagas import Sagas
from tests.workflows.test_recovery import balances
from workflows.dispute import DisputeWorkflow

TERMS = DisputeTerms(window_days=120, deadline_seconds=14 * 24 * 60 * 60)

Handle = WorkflowHandle[Any, DisputeState]


@dataclass
class Case:
    """A dispute about the 25.00 of her 100.00 that the payer sent to the payee, and staff who may decide it."""

    database: Database
    dispute: Dispute
    staff: CustomerId
    payer: Holder
    payee: Holder

    def __post_init__(self) -> None:
        self.disputes = Disputes(self.database)

    async def start(self, saga: Sagas, another: str = "") -> Handle:
        """Its workflow, or one beside it."""
        workflow_id = f"{self.dispute.workflow_id}{another}"
        return await saga.client.start_workflow(
            DisputeWorkflow.run, self.dispute.id, id=workflow_id, task_queue=saga.settings.task_queue
        )

    def newest(self, saga: Sagas) -> Handle:
        return saga.client.get_workflow_handle(self.dispute.workflow_id, result_type=DisputeState)

    def reverse(self, amount_minor: int | None = None) -> DisputeDecision:
        return DisputeDecision(self.staff, DisputeRuling.REVERSE, "No proof of delivery", amount_minor)

    def reject(self) -> DisputeDecision:
        return DisputeDecision(self.staff, DisputeRuling.REJECT, "Delivery is proven")

    async def decide(self, decision: DisputeDecision) -> None:
        """As the API does: in the books, whatever its workflow does."""
        await self.disputes.decide(self.dispute.id, decision)

    async def now(self) -> Dispute:
        found = await self.disputes.find(self.dispute.id)
        assert found is not None
        return found[0]

    async def ends(self, state: DisputeState) -> None:
        async def has_ended() -> bool:
            return (await self.now()).state is state

        await until(has_ended, f"the dispute is {state}")

    async def balances(self) -> list[int]:
        return await balances(AccountReads(self.database), self.payer, self.payee)

    async def actions(self) -> list[StaffAction]:
        return (await StaffActions(self.database).find(ActionSearch(subject=self.dispute.id), 10)).items

    async def notified(self) -> list[tuple[str, str]]:
        """Who was told of what."""
        async with self.database.connection() as connection:
            rows = await connection.fetch(
                "SELECT account_id, occasion FROM notifications WHERE transfer_id IS NOT NULL "
                "ORDER BY created_at, account_id"
            )
        return [(row["account_id"], row["occasion"]) for row in rows]

    async def reversal_is_told(self) -> None:
        """The reversal's own notification comes after its money."""

        async def is_notified() -> bool:
            async with self.database.connection() as connection:
                told_of = await connection.fetchval(
                    "SELECT count(*) FROM notifications m JOIN disputes d ON m.transfer_id = d.reversal_transfer_id"
                )
            return bool(told_of)

        await until(is_notified, "the reversal's parties are told")


async def opened(database: Database, payer: Holder, payee: Holder) -> Case:
    """The transfer that is disputed is completed by a book of its own."""
    disputed = await completed(
        Book(database, FINGERPRINTS, record_reversal), order(payer.id, payer.account_id, payee.account_id, 2_500)
    )
    dispute = await Disputes(database).open(payer.id, disputed.transfer_id, "The goods never came", TERMS)
    assert dispute is not None
    return Case(database, dispute, await staff(database), payer, payee)


async def decide(handle: Handle, decision: object) -> str:
    """As the Web UI does: by an update."""
    answer: str = await handle.execute_update("decide", decision, result_type=str)
    return answer


async def has_read(handle: Handle, times: int) -> bool:
    """Whether the workflow has read the books so many times."""
    history = await handle.fetch_history()
    read = [event for event in history.events if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED]
    return len(read) >= times


async def tasks_of(handle: Handle) -> list[int]:
    done = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
    return [event.event_id for event in (await handle.fetch_history()).events if event.event_type == done]


async def reset(saga: Sagas, handle: Handle, task: int, reapply: ResetReapplyType.ValueType) -> str:
    """To a task, with or without what people sent after it; the new run's id."""
    request = ResetWorkflowExecutionRequest(
        namespace=saga.client.namespace,
        workflow_execution=WorkflowExecution(workflow_id=handle.id, run_id=str(handle.result_run_id)),
        reason="by an operator",
        workflow_task_finish_event_id=task,
        request_id=secrets.token_hex(8),
        reset_reapply_type=reapply,
    )
    return (await saga.client.workflow_service.reset_workflow_execution(request)).run_id
