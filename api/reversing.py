"""Who may reverse a transfer, and how much of it: asked before anything is accepted. The ledger decides once more."""

from dataclasses import dataclass

from api.problems import FieldError, Problem
from api.sessions import Session
from api.state import State as Remit
from ledger.ids import TransferId
from ledger.money import Money
from ledger.operators import ALLOWED, STAFF, Action, ConflictOfInterest, Role
from ledger.postgres.reversals import Reversible
from ledger.reversals import left_of, objection_to_reversing
from ledger.transfers import State, Transfer


@dataclass(frozen=True, slots=True)
class MayReverse:
    """What may be reversed, by its payee or by staff."""

    found: Reversible
    as_staff: bool

    @property
    def left(self) -> Money:
        """What can still be brought back, as read just now."""
        return left_of(self.found.original, self.found.taken_minor)


async def readable(remit: Remit, session: Session, transfer_id: TransferId) -> Reversible:
    """A transfer that this session may read: its parties, once it is theirs to see, and staff. Else a 404."""
    found = await remit.reversals.reversible(session.customer.id, transfer_id)
    if found is None or not (found.visible or Role(session.customer.role) in STAFF):
        raise Problem("transfer_not_found")
    return found


async def may_reverse(remit: Remit, session: Session, transfer_id: TransferId, reason: str | None) -> MayReverse:
    """The transfer, if it can be reversed and this session may do so: its payee gives back, and admins bring back.

    Raises a problem otherwise. Nobody of the staff brings back what they paid themselves.
    """
    found = await readable(remit, session, transfer_id)
    if objection := objection_to_reversing(found.original):
        raise Problem("not_reversible", f"Not possible: {objection}.")
    me = session.customer.id
    if found.payee_id == me:
        return MayReverse(found, as_staff=False)
    if Role(session.customer.role) not in ALLOWED[Action.REVERSE_TRANSFER]:
        raise Problem("forbidden", "Only whoever was paid gives it back, or an admin.")
    if found.payer_id == me:
        raise ConflictOfInterest(Action.REVERSE_TRANSFER)
    if reason is None:
        missing = FieldError(field="body.reason", message="Staff give their reason, for the record")
        raise Problem("validation_failed", f"{missing.field}: {missing.message}.", errors=[missing])
    return MayReverse(found, as_staff=True)


async def check_reversal_again(remit: Remit, session: Session, transfer: Transfer) -> None:
    """Before a retry: a reversal must still be its owner's to make, and still fit. Other transfers pass."""
    if transfer.reverses_transfer_id is None or transfer.state not in (State.FAILED, State.COMPENSATED):
        return
    allowed = await may_reverse(remit, session, transfer.reverses_transfer_id, transfer.note)
    if transfer.amount_minor > allowed.left.amount_minor:
        raise too_large(allowed.left)


def too_large(left: Money) -> Problem:
    """The problem of a reversal that does not fit."""
    return Problem("reversal_too_large", f"At most {left} is left to reverse.")
