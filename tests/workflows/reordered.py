"""A next version of the transfer that cannot replay the histories of this one. In a file of its own for the sandbox."""

from temporalio import workflow

from ledger.transfers import Standing, TransferOrder
from workflows import steps
from workflows.transfer.saga import TransferWorkflow


@workflow.defn(name="TransferWorkflow")
class ScreensFirst(TransferWorkflow):
    """Screens before anything else: other commands in another order."""

    @workflow.run
    async def run(self, order: TransferOrder) -> Standing:
        await self._execution.run(steps.screen_transfer, order, "Screening")
        return await super().run(order)
