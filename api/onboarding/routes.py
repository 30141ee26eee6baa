"""A customer's identity documents: the one they registered with, and others after a rejection."""

from typing import Annotated

from fastapi import APIRouter, Query, status

from api.auth.sessions import CurrentSession
from api.http.paging import next_cursor
from api.http.problems import Problem, problem_responses
from api.http.repeats import KEYED, KeptAnswers
from api.http.route import CheckedRoute
from api.onboarding.models import DocumentFilters, DocumentOut, DocumentsOut, IdentityDocumentIn
from api.services import Remit
from api.staff.authorization import ACTING, READING
from customers.customer import IdentityMissing

router = APIRouter(prefix="/v1/customers/me/documents", tags=["customers"], route_class=CheckedRoute)

_READING = tuple(code for code in READING if code != "forbidden")
_WRITING = (*(code for code in ACTING if code not in ("forbidden", "conflict_of_interest")), *KEYED)


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    operation_id="documents.send",
    summary="Send another identity document",
    responses=problem_responses(*_WRITING, "identity_missing", "identity_verified", "document_undecided"),
)
async def send(wanted: IdentityDocumentIn, session: CurrentSession, remit: Remit, answers: KeptAnswers) -> DocumentOut:
    """After the last one was rejected. Its state may be `pending` for a while: read it again, or `GET /v1/auth/me`."""
    me = session.customer.id
    keep = answers.keep(DocumentOut.of, status.HTTP_201_CREATED)
    try:
        sent = await remit.onboarding.send_document(me, wanted.known_to(remit.verifier), keep)
    except IdentityMissing as error:
        raise Problem("identity_missing") from error
    remit.temporal.nudge_onboarding(me)
    return DocumentOut.of(sent)


@router.get(
    "",
    operation_id="documents.list",
    summary="List my identity documents",
    responses=problem_responses(*_READING, "cursor_invalid", "validation_failed"),
)
async def documents(session: CurrentSession, remit: Remit, wanted: Annotated[DocumentFilters, Query()]) -> DocumentsOut:
    """Newest first. Of each number you see the last characters."""
    me, before = session.customer.id, remit.cursors.read_place("documents", wanted.cursor)
    page = await remit.onboarding.documents(
        wanted.limit, customer_id=me, state=wanted.state, before=before, within=wanted.span
    )
    return DocumentsOut(
        items=[DocumentOut.of(one) for one in page.items],
        next_cursor=next_cursor(page, lambda last: remit.cursors.sign_place("documents", last.submitted_at, last.id)),
    )
