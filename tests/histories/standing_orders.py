"""A sweep over standing orders: one is paid at once, and one goes on in a workflow of its own."""

from tests.histories.stage import RecordedAction, Stage, path
from tests.standing_orders.scene import Scene
from workflows.sweeps.standing_orders import StandingOrderSweepWorkflow


@path(review_from_major=20, standing_order_hours="0")
async def paid_standing_orders(stage: Stage) -> RecordedAction:
    scene = Scene(stage.saga.book.database, stage.customers, stage.saga.book)
    for amount_minor in (1_000, 2_500):
        await scene.ordered(stage.ada, stage.ben, amount_minor=amount_minor)
    return await stage.saga.client.start_workflow(
        StandingOrderSweepWorkflow.run, id="standing-orders", task_queue=stage.saga.settings.task_queue
    )
