"""What each party reads about how a transfer ended. Pure: no I/O, no clock."""

from ledger.ids import SYSTEM_ACCOUNTS, AccountId
from ledger.transfers import Failure, Kind, Standing, State, TransferOrder


def ending_messages(order: TransferOrder, standing: Standing) -> dict[AccountId, str]:
    """What the owner of each customer account reads: the one who asked, and whoever was paid.

    No message says anything about the other party's account.
    """
    why = f" {_reason(order, standing.failure)}" if standing.failure else ""
    ended = f"Your {order.kind} {order.transfer_id} of {order.amount} is {standing.state}.{why}"
    told = {} if order.kind is Kind.FUNDING else {order.customer_account_id: ended}  # the system reads none
    if standing.state is State.COMPLETED:
        told.setdefault(order.destination_account_id, f"You received {order.amount} by transfer {order.transfer_id}.")
    return {account_id: body for account_id, body in told.items() if account_id not in SYSTEM_ACCOUNTS}


def _reason(order: TransferOrder, failure: Failure) -> str:
    """Why, unless that is about the other party's account. The destination of a deposit is the depositor's own."""
    if order.kind in (Kind.TRANSFER, Kind.REVERSAL) and failure.side == "destination":
        return "It could not be delivered."
    return failure.message
