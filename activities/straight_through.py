"""All the steps of a transfer that nothing holds up, in one go: straight-through processing.

The steps are the same ones, each a transaction of its own and safe to repeat; only the engine's book-keeping between
them is saved. This one decides nothing: at anything but a yes it stops and says how far it came, and the workflow goes
on from there with the step itself. So a crash or a repeat at any point is that of the step it hits.
"""

from collections.abc import Callable
from dataclasses import replace

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.notifications import NotificationSteps
from activities.screening import ScreeningSteps
from activities.transfers import TransferSteps
from ledger.transfers import Opened, State, Step, StraightThrough, TransferOrder
from screening.rules import ScreeningAnswer


class StraightThroughSteps:
    """The steps of others, one after the other."""

    def __init__(self, money: TransferSteps, screening: ScreeningSteps, notification: NotificationSteps) -> None:
        self._money = money
        self._screening = screening
        self._notification = notification

    @activity.defn
    async def settle_straight_through(self, order: TransferOrder) -> StraightThrough:
        """Open, screen, debit, credit and notify, up to the first step that does not say yes.

        Raises what `open_transfer` raises. A repeat begins anew where the transfer is still `initiated`; else it
        only says where it is.
        """
        opened = await self._money.open_transfer(order)
        reached = StraightThrough(opened, opened.standing)
        if not _begins(order, opened):
            return reached
        debit = Step(order.transfer_id, order.attempt, order.source_account_id)
        credit = replace(debit, account_id=order.destination_account_id)
        step: Callable[..., object] = self._screening.screen_transfer
        try:
            verdict = await self._screening.screen_transfer(order)
            if verdict.answer is not ScreeningAnswer.ALLOW:
                return reached
            step = self._money.debit_source
            reached = replace(reached, standing=await self._money.debit_source(debit))
            step = self._money.credit_destination
            reached = replace(reached, standing=await self._money.credit_destination(credit))
            step = self._notification.notify_parties
            await self._notification.notify_parties(order, reached.standing)
        except Exception as error:  # noqa: BLE001 - whatever is no answer leaves the step in doubt
            if _is_answer(error):
                return reached
            activity.logger.warning("%s gave no answer: %s", step.__name__, error)
            return replace(reached, in_doubt=step.__name__)
        return replace(reached, are_told=True)


def _is_answer(error: Exception) -> bool:
    """A no: the workflow asks the step itself, gets the same no, and acts on it."""
    return isinstance(error, ApplicationError) and error.non_retryable


def _begins(order: TransferOrder, opened: Opened) -> bool:
    """Whether this attempt stands at its very beginning, and nothing is known against it."""
    standing = opened.standing
    return (
        standing.state is State.INITIATED
        and standing.attempt == order.attempt
        and standing.duplicate_of is None
        and opened.objection is None
    )
