"""The saga as tutorials write it: every step a regular activity, and a refund where the credit is refused."""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from temporalio.exceptions import ActivityError

    from ledger.refusals import FraudDeclined
    from ledger.transfers import Ending, ScreenedStep, State, Step, TransferOrder
    from screening.rules import findings_of
    from screening.standard_rules import AmountThreshold
    from workflows import steps

LIMIT = timedelta(seconds=10)
RULES = [AmountThreshold(10_000)]


@workflow.defn
class TextbookWorkflow:
    """Open, debit, credit, notify. Screening is a pure rule and runs in the workflow."""

    @workflow.run
    async def run(self, order: TransferOrder) -> str:
        """The final state."""
        step = Step(order.transfer_id, order.attempt, order.source_account_id)
        screened = ScreenedStep(order.transfer_id, order.attempt, order.source_account_id)
        credit = Step(order.transfer_id, order.attempt, order.destination_account_id)
        await workflow.execute_activity(steps.open_transfer, order, start_to_close_timeout=LIMIT)
        if findings_of(order, RULES):
            declined = Ending(step, FraudDeclined().failure)
            await workflow.execute_activity(steps.fail_transfer, declined, start_to_close_timeout=LIMIT)
            return State.FAILED.value
        await workflow.execute_activity(steps.debit_source, screened, start_to_close_timeout=LIMIT)
        try:
            standing = await workflow.execute_activity(steps.credit_destination, credit, start_to_close_timeout=LIMIT)
        except ActivityError:
            standing = await workflow.execute_activity(steps.refund_source, Ending(step), start_to_close_timeout=LIMIT)
        await workflow.execute_activity(steps.notify_parties, args=[order, standing], start_to_close_timeout=LIMIT)
        return str(standing.state.value)
