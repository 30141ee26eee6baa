"""Messages to the parties of a dispute. Pure: they are written in the transaction of the event they are about.

No message says anything about the other party's account, or repeats what the other party wrote.
"""

from dataclasses import dataclass

from disputes.dispute import Dispute
from ledger.ids import CustomerId
from ledger.transfers import Transfer


@dataclass(frozen=True, slots=True)
class Notice:
    """One message to one party, written once for each `occasion`."""

    to: CustomerId
    occasion: str
    body: str


def of_opening(dispute: Dispute, transfer: Transfer) -> list[Notice]:
    """To the payee: there is a dispute, and the deadline to answer."""
    body = (
        f"Transfer {transfer.id}, by which you received {transfer.amount}, is disputed by its payer. "
        f"Read why, and state your case, in dispute {dispute.id} until {dispute.deadline:%Y-%m-%d %H:%M} UTC."
    )
    return [Notice(dispute.payee_id, f"{dispute.id}/opened", body)]


def of_statement(dispute: Dispute, transfer: Transfer, author_id: CustomerId, number: int) -> list[Notice]:
    """To the other party: the author made a statement. `number` counts the author's statements."""
    author, other = ("payer", dispute.payee_id) if author_id == dispute.payer_id else ("payee", dispute.payer_id)
    body = f"The {author} made a statement in dispute {dispute.id} about transfer {transfer.id} of {transfer.amount}."
    return [Notice(other, f"{dispute.id}/{author}/{number}", body)]


def of_end(dispute: Dispute, transfer: Transfer, occasion: str = "ended") -> list[Notice]:
    """To both parties: how the dispute ended."""
    why = f" Reason: {dispute.decided_reason}" if dispute.decided_reason else ""
    what = f"Dispute {dispute.id} about transfer {transfer.id} of {transfer.amount}"
    body = f"{what} has ended. {dispute.outcome or ''}{why}"
    return [Notice(party, f"{dispute.id}/{occasion}", body) for party in dispute.parties]
