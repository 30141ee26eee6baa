"""What customers read about how a transfer ended, and about their accounts. Pure: no I/O, no clock."""

from ledger.accounts import Account, AccountStatus, Freeze
from ledger.ids import SYSTEM_ACCOUNTS, AccountId
from ledger.transfers import Failure, Kind, Standing, State, TransferOrder


def ending_messages(order: TransferOrder, standing: Standing) -> dict[AccountId, str]:
    """What the owner of each customer account reads: the one who asked, and whoever was paid.

    No message says anything about the other party's account.
    """
    why = f" {_reason(order, standing.failure)}" if standing.failure else ""
    ended = f"Your {order.kind} {order.transfer_id} of {order.amount} is {standing.state}.{why}"
    bodies = {} if order.kind is Kind.FUNDING else {order.customer_account_id: ended}  # the system reads none
    if standing.state is State.COMPLETED:
        bodies.setdefault(order.destination_account_id, f"You received {order.amount} by transfer {order.transfer_id}.")
    return {account_id: body for account_id, body in bodies.items() if account_id not in SYSTEM_ACCOUNTS}


def _reason(order: TransferOrder, failure: Failure) -> str:
    """Why, unless that is about the other party's account. The destination of a deposit is the depositor's own."""
    if order.kind in (Kind.TRANSFER, Kind.REVERSAL) and failure.side == "destination":
        return "It could not be delivered."
    return failure.message


_STOPPED = {
    Freeze.DEBITS: "No money leaves it until it is unfrozen.",
    Freeze.CREDITS: "No money reaches it until it is unfrozen.",
    Freeze.BOTH: "No money leaves or reaches it until it is unfrozen.",
}


def status_message(account: Account) -> str:
    """What the owner of an account reads after staff have frozen, unfrozen or closed it. The reason is the staff's."""
    if account.status is AccountStatus.FROZEN:
        return f"Your account {account.number} is frozen. {_STOPPED[account.frozen or Freeze.BOTH]}"
    if account.status is AccountStatus.CLOSED:
        return f"Your account {account.number} is closed, for good."
    return f"Your account {account.number} is unfrozen: money can leave and reach it again."


def tier_message(account: Account) -> str:
    """What the owner of an account reads after its tier was raised."""
    return f"Your account {account.number} is in tier {account.tier} now: it may send and hold more."
