"""Reversals of a transfer: bring all or part of it back, and see what came back."""

from fastapi import APIRouter, Response, status

from api.auth.sessions import TransfersRead, TransfersWrite
from api.http.fields import Cursor, PageSize
from api.http.headers import IdempotencyKey, WaitSeconds
from api.http.paging import next_cursor
from api.http.problems import problem_responses
from api.http.route import CheckedRoute
from api.services import Remit
from api.transfers.acceptance import TransferRequest
from api.transfers.models import ReversalIn, ReversalsOut, TransferOut
from api.transfers.responses import TRANSFER_PROBLEMS, TRANSFER_RESPONSES, move
from api.transfers.reversal_checks import may_reverse, readable, too_large
from ledger.ids import TransferId
from ledger.reversals import left_of, reversal_objection
from staff.permissions import STAFF

router = APIRouter(prefix="/v1/transfers", tags=["transfers"], route_class=CheckedRoute)

_REVERSING = (
    *(code for code in TRANSFER_PROBLEMS if code != "account_not_found"),
    "transfer_not_found",
    "forbidden",
    "conflict_of_interest",
    "not_reversible",
    "reversal_too_large",
)


@router.post(
    "/{transfer_id}/reversals",
    status_code=status.HTTP_201_CREATED,
    operation_id="transfers.reverse",
    summary="Reverse a transfer",
    responses=TRANSFER_RESPONSES | problem_responses(*_REVERSING),
)
async def reverse(
    transfer_id: TransferId,
    wanted: ReversalIn,
    session: TransfersWrite,
    remit: Remit,
    key: IdempotencyKey,
    wait: WaitSeconds,
    response: Response,
) -> TransferOut:
    """Bring back all or part of a completed transfer that reached an account of mine; admins, of anybody's.

    The reversal is a transfer of its own. As many as fit into the amount; one that another one overtakes fails with
    `limit_exceeded`. For admins it is recorded with its reason.
    """
    allowed = await may_reverse(remit.reversals, session.in_role, transfer_id, wanted.reason)
    original, left = allowed.found.original, allowed.left
    # Where nothing is left, any amount that does not fit: a key that is repeated is answered all the same.
    amount_minor = wanted.amount or left.amount_minor or original.amount_minor
    requested = TransferRequest(
        original.destination_account_id,
        original.source_account_id,
        amount_minor,
        original.currency,
        note=wanted.reason,
        reverses_transfer_id=original.id,
        all_that_is_left=wanted.amount is None,
    )
    foreseen = too_large(left) if amount_minor > left.amount_minor else None
    return await move(remit, session, key, requested, wait, response, foreseen=foreseen)


@router.get(
    "/{transfer_id}/reversals",
    operation_id="transfers.reversals",
    summary="List a transfer's reversals",
    responses=problem_responses(
        "not_authenticated",
        "token_expired",
        "transfer_not_found",
        "cursor_invalid",
        "validation_failed",
        "database_unavailable",
    ),
)
async def reversals(
    transfer_id: TransferId,
    session: TransfersRead,
    remit: Remit,
    limit: PageSize = 20,
    cursor: Cursor = None,
) -> ReversalsOut:
    """Newest first, for both parties and staff.

    One that took nothing is seen by whoever asked for it, and by staff who are no party.
    """
    found = await readable(remit.reversals, session.in_role, transfer_id)
    me = session.customer.id
    sees_all = session.role in STAFF and me not in (found.payer_id, found.payee_id)
    before = remit.cursors.read_place("reversals", cursor)
    page = await remit.reversals.of(me, transfer_id, before, limit, of_anybody=sees_all)
    shown = [TransferOut.of(reversal, me) for reversal in page.items]
    return (
        ReversalsOut(
            reversed_amount=found.reversed_minor,
            left_amount=0
            if reversal_objection(found.original)
            else left_of(found.original, found.taken_minor).amount_minor,
            items=[each.shown_to_staff() for each in shown] if sees_all else shown,
            next_cursor=next_cursor(page, lambda last: remit.cursors.sign_place("reversals", last.created_at, last.id)),
        )
        .owned_by(*found.original.readers)
        .shown_to_staff()
    )
