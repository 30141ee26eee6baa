"""The steps that write the ledger. Each is one transaction, once per (transfer, attempt), safe to repeat."""

from dataclasses import replace

from temporalio import activity

from activities.refusals import refusals_as_answers
from ledger.postgres.book import Book
from ledger.transfers import Ending, Opened, ScreenedStep, Standing, State, Step, TransferOrder


class TransferSteps:
    """Steps over one book. They hold no state: any number may run at once, in any number of processes."""

    def __init__(self, book: Book, stuck_after_seconds: int) -> None:
        self._book = book
        self._stuck_after_seconds = stuck_after_seconds

    @activity.defn
    async def open_transfer(self, order: TransferOrder) -> Opened:
        """Write the transfer's row, or begin its next attempt.

        A repeat returns the first row; another order under the same key is refused as `OrderMismatch`.
        """
        with refusals_as_answers():
            opened = await self._book.open_transfer(order)
        return replace(opened, stuck_after_seconds=self._stuck_after_seconds)

    @activity.defn
    async def debit_source(self, step: ScreenedStep) -> Standing:
        """Take the amount from the source into clearing.

        Refuses with `account_not_found`, `currency_mismatch`, `account_closed`, `account_frozen` or
        `insufficient_funds`, and as `IllegalTransition` once the transfer has ended without its debit.
        """
        with refusals_as_answers():
            return await self._book.debit(step)

    @activity.defn
    async def credit_destination(self, step: Step) -> Standing:
        """Hand the amount from clearing to the destination.

        Refuses with `account_not_found`, `currency_mismatch`, `account_closed`, `account_frozen` or
        `balance_limit_exceeded`, and as `IllegalTransition` unless the amount is in clearing.
        """
        with refusals_as_answers():
            return await self._book.credit(step)

    @activity.defn
    async def refund_source(self, ending: Ending) -> Standing:
        """Return the amount from clearing to the source; before a debit, make sure that none follows."""
        with refusals_as_answers():
            return await self._book.refund(ending)

    @activity.defn
    async def fail_transfer(self, ending: Ending) -> Standing:
        """End a transfer that was refused before its debit."""
        with refusals_as_answers():
            return await self._book.end(ending, State.FAILED)

    @activity.defn
    async def cancel_transfer(self, ending: Ending) -> Standing:
        """End a transfer that was cancelled before its debit."""
        with refusals_as_answers():
            return await self._book.end(ending, State.CANCELLED)
