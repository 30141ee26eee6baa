"""Batches: many transfers in one request, followed until each has its outcome."""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Query, Response, status

from api.auth.sessions import Caller, TransfersRead, TransfersWrite
from api.batches.body import COLUMNS, CSV, BatchRoute, checked_items
from api.batches.models import (
    BatchesOut,
    BatchFilters,
    BatchIn,
    BatchItemFilters,
    BatchItemOut,
    BatchItemsOut,
    BatchOut,
)
from api.contract.response_headers import CREATED
from api.http.headers import IdempotencyKey
from api.http.paging import next_cursor
from api.http.problems import Problem, problem_responses
from api.http.repeats import KEYED, KeptAnswers
from api.payees.counterparties import counterparties_with
from api.services import Remit, Services
from api.staff.authorization import ACTING, READING
from batches.batch import Batch, BatchItem, BatchMode, NoSuchBatch
from batches.postgres.batches import BatchWithCounts
from database.paging import Page
from ledger.ids import BatchId

router = APIRouter(prefix="/v1/batches", tags=["batches"], route_class=BatchRoute)

_READING = tuple(code for code in READING if code != "forbidden")
_WRITING = (*(code for code in ACTING if code not in ("forbidden", "conflict_of_interest")), *KEYED)

_CSV_BODY = {
    "requestBody": {
        "content": {
            CSV: {
                "schema": {"type": "string"},
                "example": f"{','.join(COLUMNS)}\nsalary-0042,acc_k5qd4ahyfpuxzmo2c3r7wn6tbe,"
                "acc_gezdgnbvgy3tqojqgezdgnbvgy,125500,USD,November\n",
            }
        }
    }
}


@router.post(
    "",
    status_code=status.HTTP_202_ACCEPTED,
    operation_id="batches.create",
    summary="Send up to 10,000 transfers",
    responses=CREATED
    | problem_responses(
        *_WRITING, "idempotency_key_missing", "batch_invalid", "batch_too_large", "too_many_payee_checks"
    ),
    openapi_extra=_CSV_BODY,
)
async def create(
    wanted: BatchIn,
    session: TransfersWrite,
    remit: Remit,
    _: IdempotencyKey,
    answers: KeptAnswers,
    response: Response,
    mode: Annotated[BatchMode | None, Query(description="Of a CSV; JSON has it in its body")] = None,
) -> BatchOut:
    """Checked as a whole: one error, and nothing of it is kept. At most 10,000 items and 4 MB.

    A refused item is an outcome of its own. `best_effort` goes on behind it; of an `atomic` batch nothing is posted
    then.
    """
    me = session.customer.id
    if mode not in (None, wanted.mode):
        raise Problem("validation_failed", "query.mode: The body says another mode, or none. JSON has it in its body.")
    items = await checked_items(remit, me, wanted.items)
    keep = answers.keep(BatchOut.of, status.HTTP_202_ACCEPTED, _location)
    accepted = await remit.batches.accept(me, wanted.mode, items, keep)
    # While Temporal gives no answer, the rows are committed all the same, and recovery starts the workflow later.
    await remit.temporal.start_batch(accepted.batch.id, accepted.batch.total)
    response.headers["Location"] = _location(accepted)
    return BatchOut.of(accepted)


@router.get(
    "",
    operation_id="batches.list",
    summary="List my batches",
    responses=problem_responses(*_READING, "cursor_invalid", "validation_failed"),
)
async def batches(wanted: Annotated[BatchFilters, Query()], session: TransfersRead, remit: Remit) -> BatchesOut:
    """Newest first."""
    before = remit.cursors.read_place("batches", wanted.cursor)
    page = await remit.batches.all_of(
        wanted.limit, owner_id=session.customer.id, state=wanted.state, before=before, within=wanted.span
    )
    return BatchesOut(
        items=[BatchOut.of(each) for each in page.items],
        next_cursor=next_cursor(
            page, lambda last: remit.cursors.sign_place("batches", last.batch.created_at, last.batch.id)
        ),
    )


@router.get(
    "/{batch_id}",
    operation_id="batches.get",
    summary="Get a batch",
    responses=problem_responses(*_READING, "batch_not_found"),
)
async def batch(batch_id: BatchId, session: TransfersRead, remit: Remit) -> BatchOut:
    """How far it is, and how many items are in each state."""
    return BatchOut.of(await _mine(batch_id, session, remit))


@router.get(
    "/{batch_id}/items",
    operation_id="batches.list_items",
    summary="List a batch's items",
    responses=problem_responses(*_READING, "batch_not_found", "cursor_invalid", "validation_failed"),
)
async def items(
    batch_id: BatchId, wanted: Annotated[BatchItemFilters, Query()], session: TransfersRead, remit: Remit
) -> BatchItemsOut:
    """In the order of their lines, each with what became of it; and whom they have paid."""
    found = (await _mine(batch_id, session, remit)).batch
    page = await items_of(remit, found, wanted)
    paid = {item.destination_account_id for item in page.items if item.has_moved}
    return BatchItemsOut(
        items=[BatchItemOut.of(each) for each in page.items],
        next_cursor=next_cursor(page, cursor_of_items(remit, found)),
        counterparties=await counterparties_with(remit, session.customer.id, paid),
    ).owned_by(found.owner_id)


@router.post(
    "/{batch_id}/cancel",
    operation_id="batches.cancel",
    summary="Cancel a batch",
    responses=problem_responses(*_WRITING, "batch_not_found", "batch_over"),
)
async def cancel(batch_id: BatchId, session: TransfersWrite, remit: Remit, answers: KeptAnswers) -> BatchOut:
    """Nothing more of it is posted. What is posted stays. Cancelling again answers the same."""
    await _mine(batch_id, session, remit)
    cancelled = await remit.batches.cancel(batch_id, answers.keep(BatchOut.of))
    await remit.temporal.nudge_batch(batch_id)
    return BatchOut.of(cancelled)


async def items_of(remit: Services, found: Batch, wanted: BatchItemFilters) -> Page[BatchItem]:
    """One page of a batch's items."""
    after = int(remit.cursors.read(_items_of(found), wanted.cursor)[0]) if wanted.cursor is not None else 0
    return await remit.batches.items(found, after, wanted.limit)


def cursor_of_items(remit: Services, found: Batch) -> Callable[[BatchItem], str]:
    """Makes the cursor behind an item of this batch."""
    return lambda last: remit.cursors.sign(_items_of(found), last.line)


def _items_of(found: Batch) -> str:
    return f"items of {found.id}"


async def _mine(batch_id: BatchId, session: Caller, remit: Services) -> BatchWithCounts:
    found = await remit.batches.find(batch_id)
    if found.batch.owner_id != session.customer.id:
        raise NoSuchBatch(batch_id)
    return found


def _location(accepted: BatchWithCounts) -> str:
    return f"/v1/batches/{accepted.batch.id}"
