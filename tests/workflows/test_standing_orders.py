"""The sweep over standing orders on a real Temporal: started by its schedule, twice at once, after days down."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.sweeps.standing_orders import StandingOrderSteps
from customers.postgres import Customers
from database.connections import Database
from ledger.limits.tier_limits import DEFAULT_LIMITS
from ledger.postgres.transfer_reads import TransferReads
from ledger.workflow_ids import standing_order_key, transfer_workflow_id
from reviews.review import Decision
from standing_orders.calendar import Frequency
from standing_orders.occurrence import OccurrenceState, SweepReport
from standing_orders.postgres.due_dates import DueDates
from standing_orders.postgres.due_payments import DuePayments
from standing_orders.standing_order import OutageRule
from tests.orders import FINGERPRINTS, Holder, order
from tests.standing_orders.scene import Scene
from tests.waiting import until
from tests.workflows.reviewing import decide, in_review
from tests.workflows.sagas import UnreliableBook, sagas
from workflows.sweeps.schedules import STANDING_ORDERS_SCHEDULE, schedule_sweep, standing_order_sweep
from workflows.sweeps.standing_orders import StandingOrderSweepWorkflow

if TYPE_CHECKING:
    from database.connections import Connection


async def sweep(client: Client, task_queue: str) -> SweepReport:
    return await client.execute_workflow(
        StandingOrderSweepWorkflow.run, id=f"sweep-{secrets.token_hex(4)}", task_queue=task_queue
    )


async def test_the_schedule_pays_what_is_due_without_anyone(
    client: Client, database: Database, customers: Customers, book: UnreliableBook, alice: Holder, bob: Holder
) -> None:
    scene = Scene(database, customers, book)
    made = await scene.ordered(alice, bob)
    async with sagas(client, book, standing_order_hours="0") as saga:
        await schedule_sweep(client, saga.settings.task_queue, standing_order_sweep(timedelta(seconds=1)))
        try:

            async def is_paid() -> bool:
                return [each.state for each in await scene.past(made)] == [OccurrenceState.PAID]

            await until(is_paid, "the schedule pays")
            # Beside the schedule's own, at the same time.
            await asyncio.gather(*(sweep(client, saga.settings.task_queue) for _ in range(2)))
        finally:
            await client.get_schedule_handle(STANDING_ORDERS_SCHEDULE).delete()
    assert await scene.balance(bob) == 100


async def test_a_payment_in_review_is_an_ordinary_transfer_and_its_date_follows_it(
    client: Client,
    database: Database,
    customers: Customers,
    book: UnreliableBook,
    transfer_reads: TransferReads,
    alice: Holder,
    bob: Holder,
    approve: Decision,
) -> None:
    scene = Scene(database, customers, book)
    made = await scene.ordered(alice, bob, amount_minor=2_500, frequency=Frequency.ONCE)
    async with sagas(client, book, review_from_major=20, standing_order_hours="0") as saga:
        first = await sweep(client, saga.settings.task_queue)
        assert (first.under_way, first.paid) == (1, 0)
        (started,) = await scene.past(made)
        assert started.transfer_id is not None
        key = standing_order_key(made.id, started.date)
        await in_review(
            transfer_reads,
            order(alice.id, alice.account_id, bob.account_id, 2_500, key=key),
        )
        handle = client.get_workflow_handle(transfer_workflow_id(alice.id, key))
        await decide(handle, approve)

        async def is_paid() -> bool:
            await sweep(client, saga.settings.task_queue)
            return [each.state for each in await scene.past(made)] == [OccurrenceState.PAID]

        await until(is_paid, "the occurrence follows its transfer")
    assert await scene.balance(bob) == 2_500


@asynccontextmanager
async def sweeping(env: WorkflowEnvironment, scene: Scene, began: datetime) -> AsyncIterator[str]:
    """A worker whose clock is the server's since `began`: it skips the time in which nobody waits for anything."""

    async def clock(connection: "Connection") -> datetime:
        scene.later = await env.get_current_time() - began
        return await scene.clock(connection)

    steps = StandingOrderSteps(
        DueDates(scene.database, FINGERPRINTS, scene.rules, clock=clock),
        DuePayments(scene.database, scene.bulk, scene.hours, DEFAULT_LIMITS, clock=clock),
    )
    queue = f"test-{secrets.token_hex(6)}"
    activities = [steps.pay_standing_orders, steps.find_standing_order_transfers]
    async with Worker(env.client, task_queue=queue, workflows=[StandingOrderSweepWorkflow], activities=activities):
        yield queue


DAYS_DOWN = 3
PAID, OUTAGE = ("paid", None), ("missed", "outage")


async def test_three_days_down_pay_each_date_once_or_name_it_as_missed(
    time_skipping: WorkflowEnvironment,
    database: Database,
    customers: Customers,
    book: UnreliableBook,
    alice: Holder,
    bob: Holder,
) -> None:
    scene = Scene(database, customers, book)
    poor = await scene.holder(99)
    orders = {rule: await scene.ordered(alice, bob, after_outage=rule, retry_days=1) for rule in OutageRule}
    unfunded = await scene.ordered(poor, bob, frequency=Frequency.ONCE, retry_days=1)
    began = await time_skipping.get_current_time()
    async with sweeping(time_skipping, scene, began) as queue:
        assert (await sweep(time_skipping.client, queue)).paid == len(OutageRule)
    # Neither a worker nor a sweep.
    await time_skipping.sleep(timedelta(days=DAYS_DOWN))
    async with sweeping(time_skipping, scene, began) as queue:
        for _ in range(2):
            await sweep(time_skipping.client, queue)
    assert {rule: await scene.states(made) for rule, made in orders.items()} == {
        OutageRule.PAY_EACH: [PAID] * (1 + DAYS_DOWN),
        OutageRule.PAY_LATEST: [PAID, OUTAGE, OUTAGE, PAID],
        OutageRule.MISS: [PAID, OUTAGE, OUTAGE, PAID],
    }
    assert await scene.states(unfunded) == [("missed", "insufficient_funds")]
    assert await scene.balance(bob) == 100 * (4 + 2 + 2)
