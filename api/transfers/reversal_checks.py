"""Who may reverse a transfer, and how much of it. Checked before a reversal is accepted; the ledger checks again."""

from dataclasses import dataclass

from api.http.problems import FieldError, Problem
from customers.customer import Customer
from disputes.postgres.disputes import Disputes
from ledger.ids import CustomerId, TransferId
from ledger.money import Money
from ledger.postgres.account_reads import AccountReads
from ledger.postgres.reversals import Reversals, Reversible
from ledger.reversals import left_of, reversal_objection
from ledger.transfers import Kind, State, Transfer
from staff.permissions import ALLOWED, STAFF, Action, Actor, ConflictOfInterest, NotAllowed, Role


@dataclass(frozen=True, slots=True)
class MayReverse:
    """A transfer that may be reversed, by its payee or by staff."""

    found: Reversible
    as_staff: bool

    @property
    def left(self) -> Money:
        """The amount that can still be reversed, by the last read."""
        return left_of(self.found.original, self.found.taken_minor)


async def readable(reversals: Reversals, reader: Customer, transfer_id: TransferId) -> Reversible:
    """A transfer that this customer may read, as a party who can see it or as staff. Else raises a 404."""
    found = await reversals.reversible(reader.id, transfer_id)
    if found is None or not (found.visible or Role(reader.role) in STAFF):
        raise Problem("transfer_not_found")
    return found


async def may_reverse(reversals: Reversals, me: Customer, transfer_id: TransferId, reason: str | None) -> MayReverse:
    """The transfer, if it can be reversed and this customer may do so, as its payee or as an admin.

    Raises a problem otherwise. Staff may not reverse a transfer that they paid themselves.
    """
    found = await readable(reversals, me, transfer_id)
    if objection := reversal_objection(found.original):
        raise Problem("not_reversible", f"Not possible: {objection}.")
    if found.payee_id == me.id:
        return MayReverse(found, as_staff=False)
    if Role(me.role) not in ALLOWED[Action.REVERSE_TRANSFER]:
        raise Problem("forbidden", "Only the payee or an admin may reverse a transfer.")
    if found.payer_id == me.id:
        raise ConflictOfInterest(Action.REVERSE_TRANSFER)
    if reason is None:
        missing = FieldError(field="body.reason", message="Staff must give a reason, which is recorded")
        raise Problem("validation_failed", f"{missing.field}: {missing.message}.", errors=[missing])
    return MayReverse(found, as_staff=True)


async def check_is_given_back(account_reads: AccountReads, me: Customer, transfer: Transfer) -> None:
    """Refuse staff who reversed or funded for others: their requests must be recorded. Payees, and others, pass."""
    if transfer.kind is Kind.FUNDING:
        detail = f"You asked for this as staff: somebody else of the staff uses /v1/admin/transfers/{transfer.id}."
        raise Problem("forbidden", detail)
    if transfer.reverses_transfer_id is None:
        return
    if await account_reads.own(me.id, transfer.source_account_id) is None:
        detail = f"You reversed this as staff: use /v1/admin/transfers/{transfer.id}, where it is recorded."
        raise Problem("forbidden", detail)


async def check_left(reversals: Reversals, reader_id: CustomerId, transfer: Transfer) -> None:
    """Before a retry, refuse a reversal that no longer fits. Other and not retryable transfers pass."""
    if transfer.reverses_transfer_id is None or transfer.state not in (State.FAILED, State.COMPENSATED):
        return
    found = await reversals.reversible(reader_id, transfer.reverses_transfer_id)
    assert found is not None, "transfers are never deleted"
    left = left_of(found.original, found.taken_minor)
    if transfer.amount_minor > left.amount_minor:
        raise too_large(left)


async def check_may_retry_reversal(disputes: Disputes, actor: Actor, transfer: Transfer) -> None:
    """Raises `NotAllowed` for a reversal if these staff may not reverse, unless a dispute decided it."""
    if transfer.reverses_transfer_id is None or actor.role in ALLOWED[Action.REVERSE_TRANSFER]:
        return
    if not await disputes.decided(transfer.order):
        raise NotAllowed(actor, Action.REVERSE_TRANSFER)


def too_large(left: Money) -> Problem:
    """The problem of a reversal that does not fit."""
    return Problem("reversal_too_large", f"At most {left} is left to reverse.")
