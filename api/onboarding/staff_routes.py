"""Identity documents for staff: the list of all, and the decision about one that a verifier did not decide."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from api.http.paging import next_cursor
from api.http.problems import problem_responses
from api.http.repeats import KEYED, KeptAnswers
from api.http.route import CheckedRoute
from api.onboarding.models import DocumentDecisionIn, DocumentFilters, DocumentOut, DocumentsOut
from api.services import Remit
from api.staff.authorization import ACTING, READING, Staff, may
from ledger.ids import DocumentId
from staff.permissions import Action, Actor

router = APIRouter(prefix="/v1/admin/documents", tags=["admin"], route_class=CheckedRoute)


@router.get(
    "",
    operation_id="admin.documents.list",
    summary="Find identity documents",
    responses=problem_responses(*READING, "cursor_invalid", "validation_failed"),
)
async def documents(
    _: Staff,
    remit: Remit,
    wanted: Annotated[DocumentFilters, Query()],
) -> DocumentsOut:
    """All customers' documents, newest first. `in_review`: a person must decide. Nobody sees a whole number."""
    before = remit.cursors.read_place("all documents", wanted.cursor)
    page = await remit.onboarding.documents(wanted.limit, state=wanted.state, before=before, within=wanted.span)
    return DocumentsOut(
        items=[DocumentOut.of(one) for one in page.items],
        next_cursor=next_cursor(
            page, lambda last: remit.cursors.sign_place("all documents", last.submitted_at, last.id)
        ),
    )


@router.post(
    "/{document_id}/decisions",
    operation_id="admin.documents.decide",
    summary="Decide about an identity document",
    responses=problem_responses(*ACTING, *KEYED, "document_not_found", "document_decided"),
)
async def decide(
    document_id: DocumentId,
    wanted: DocumentDecisionIn,
    actor: Annotated[Actor, Depends(may(Action.DECIDE_DOCUMENT))],
    remit: Remit,
    answers: KeptAnswers,
) -> DocumentOut:
    """Verify or reject a document that is `in_review` or `pending`. The first decision is final.

    A verified customer's accounts may send money at once.
    """
    keep = answers.keep(DocumentOut.of)
    decided = await remit.onboarding.decide(actor, document_id, wanted.finding, wanted.reason, keep)
    remit.temporal.nudge_onboarding(decided.customer_id)
    return DocumentOut.of(decided)
