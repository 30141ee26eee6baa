"""Batches for staff: the list of all, and what they may decide about one."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from api.batches.models import (
    AccountHolderOut,
    BatchDecisionIn,
    BatchFileItemOut,
    BatchFileItemsOut,
    BatchFileOut,
    BatchFilesOut,
    BatchFilters,
    BatchItemFilters,
)
from api.batches.routes import cursor_of_items, items_of
from api.http.paging import next_cursor
from api.http.problems import problem_responses
from api.http.repeats import KEYED, KeptAnswers
from api.http.route import CheckedRoute
from api.services import Remit
from api.staff.authorization import ACTING, READING, Staff, may
from api.staff.models import ReasonIn
from ledger.ids import BatchId
from staff.permissions import Action, Actor

router = APIRouter(prefix="/v1/admin/batches", tags=["admin"], route_class=CheckedRoute)

_LIST = "all batches"


@router.get(
    "",
    operation_id="admin.batches.list",
    summary="Find batches",
    responses=problem_responses(*READING, "cursor_invalid", "validation_failed"),
)
async def batches(_: Staff, remit: Remit, wanted: Annotated[BatchFilters, Query()]) -> BatchFilesOut:
    """All customers' batches, newest first. `state=held` are those that wait for a decision."""
    before = remit.cursors.read_place(_LIST, wanted.cursor)
    page = await remit.batches.all_of(wanted.limit, state=wanted.state, before=before, within=wanted.span)
    return BatchFilesOut(
        items=[BatchFileOut.of(each) for each in page.items],
        next_cursor=next_cursor(
            page, lambda last: remit.cursors.sign_place(_LIST, last.batch.created_at, last.batch.id)
        ),
    )


@router.get(
    "/{batch_id}",
    operation_id="admin.batches.get",
    summary="Get any batch",
    responses=problem_responses(*READING, "batch_not_found"),
)
async def batch(batch_id: BatchId, _: Staff, remit: Remit) -> BatchFileOut:
    """How far it is, whose it is, and who decided about it."""
    return BatchFileOut.of(await remit.batches.find(batch_id))


@router.get(
    "/{batch_id}/items",
    operation_id="admin.batches.list_items",
    summary="List any batch's items",
    responses=problem_responses(*READING, "batch_not_found", "cursor_invalid", "validation_failed"),
)
async def items(
    batch_id: BatchId, wanted: Annotated[BatchItemFilters, Query()], _: Staff, remit: Remit
) -> BatchFileItemsOut:
    """In the order of their lines, each with what became of it; and whose their accounts are."""
    found = (await remit.batches.find(batch_id)).batch
    page = await items_of(remit, found, wanted)
    sides = {side for item in page.items for side in (item.source_account_id, item.destination_account_id)}
    holders = await remit.payees.holders(sides)
    return BatchFileItemsOut(
        items=[BatchFileItemOut.of(each) for each in page.items],
        next_cursor=next_cursor(page, cursor_of_items(remit, found)),
        holders={account_id: AccountHolderOut.of(holder) for account_id, holder in holders.items()},
    )


@router.post(
    "/{batch_id}/cancel",
    operation_id="admin.batches.cancel",
    summary="Cancel any batch",
    responses=problem_responses(*ACTING, *KEYED, "batch_not_found", "batch_over"),
)
async def cancel(
    batch_id: BatchId,
    wanted: ReasonIn,
    actor: Annotated[Actor, Depends(may(Action.CANCEL_BATCH))],
    remit: Remit,
    answers: KeptAnswers,
) -> BatchFileOut:
    """Nothing more of it is posted. What is posted stays."""
    keep = answers.keep(BatchFileOut.of)
    cancelled = await remit.batches.cancel_by_staff(actor, batch_id, wanted.reason, keep)
    await remit.temporal.nudge_batch(batch_id)
    return BatchFileOut.of(cancelled)


@router.post(
    "/{batch_id}/decisions",
    operation_id="admin.batches.decide",
    summary="Decide about a held batch",
    responses=problem_responses(*ACTING, *KEYED, "batch_not_found", "batch_not_held", "role_too_young"),
)
async def decide(
    batch_id: BatchId,
    wanted: BatchDecisionIn,
    actor: Annotated[Actor, Depends(may(Action.DECIDE_BATCH))],
    remit: Remit,
    answers: KeptAnswers,
) -> BatchFileOut:
    """Approve, and all of it is posted without a further review; or reject, and nothing of it is.

    Where an item's review would need two deciders, two have to approve: behind the first, the batch is still held.
    """
    keep = answers.keep(BatchFileOut.of)
    approve = wanted.ruling == "approve"
    decided = await remit.held_batches.decide(actor, batch_id, wanted.reason, keep, approve=approve)
    await remit.temporal.nudge_batch(batch_id)
    return BatchFileOut.of(decided)
