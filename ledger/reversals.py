"""Reversals: which transfers may be reversed, by what, and how much of them is left. Pure: no I/O, no clock.

A reversal is a transfer of its own, from the destination of another one back to its source. The sum of
its reversals, completed or in progress, is read under the original's row lock, so it never exceeds the original.
"""

from ledger.money import Money
from ledger.refusals import NotReversible, Refusal, ReversalTooLarge
from ledger.transfers import Kind, State, Transfer, TransferOrder


def reversal_objection(original: Transfer) -> str | None:
    """Why this transfer cannot be reversed, as text for people; None if it can be.

    A transfer never changes its kind, and a completed one never its state, so None is final.
    """
    if original.kind is Kind.REVERSAL:
        return "it is a reversal itself; send a new transfer instead"
    if original.kind is not Kind.TRANSFER:
        return f"it is a {original.kind}, whose other side is outside; make the opposite movement instead"
    if original.state is not State.COMPLETED:
        return f"it is {original.state}, and only what was completed is reversed"
    return None


def left_of(original: Transfer, taken_minor: int) -> Money:
    """The amount that can still be reversed; `taken_minor` is in reversals that are completed or under way."""
    return Money(original.amount_minor - taken_minor, original.currency)


def decide_reversal(order: TransferOrder, original: Transfer, taken_minor: int) -> Refusal | None:
    """The refusal of a reversal that exceeds what is left of the original; None if it fits.

    `taken_minor` leaves this reversal out. Raises `NotReversible` for an order that should never have been accepted.
    """
    if objection := reversal_objection(original):
        raise NotReversible(original.id, objection)
    there_and_back = (order.destination_account_id, order.source_account_id, order.currency)
    if there_and_back != (original.source_account_id, original.destination_account_id, original.currency):
        raise NotReversible(original.id, "the reversal does not lead from its destination back to its source")
    left = left_of(original, taken_minor)
    return ReversalTooLarge(original.id, left) if order.amount_minor > left.amount_minor else None
