"""The books as a whole: totals, audit and statistics."""

from typing import Annotated

from fastapi import APIRouter, Depends

from api.books.models import AuditIn, AuditOut, BooksOut, StatsOut, TotalsOut
from api.http.problems import problem_responses
from api.http.repeats import KEYED, KeptAnswers
from api.http.route import CheckedRoute
from api.services import Remit
from api.staff.authorization import ACTING, READING, Staff, may
from api.transfers.staff_models import AnyTransferOut
from staff.permissions import Action, Actor

router = APIRouter(prefix="/v1/admin", tags=["admin"], route_class=CheckedRoute)


@router.get(
    "/books", operation_id="admin.books.get", summary="Get totals per currency", responses=problem_responses(*READING)
)
async def books(_: Staff, remit: Remit) -> BooksOut:
    """What customers hold, what is in transit, and the balance of the outside world, by all postings in one snapshot.

    The audit compares them with the balances.
    """
    return BooksOut(items=[TotalsOut.of(totals) for totals in await remit.stats.totals()])


@router.post(
    "/audit",
    operation_id="admin.books.audit",
    summary="Audit the books (admins)",
    responses=problem_responses(*ACTING, *KEYED, "audit_running"),
)
async def audit(
    wanted: AuditIn,
    actor: Annotated[Actor, Depends(may(Action.RUN_AUDIT))],
    remit: Remit,
    answers: KeptAnswers,
) -> AuditOut:
    """Checks every invariant over what no earlier audit found clean; with `full`, over every entry.

    It takes no lock that a transfer could meet. A full one takes minutes on large books.
    """
    keep = answers.keep(AuditOut.of)
    return AuditOut.of(await remit.operators.audit(actor, wanted.reason, keep, full=wanted.full))


@router.get(
    "/stats",
    operation_id="admin.stats.get",
    summary="Get statistics for operators",
    responses=problem_responses(*READING),
)
async def stats(_: Staff, remit: Remit) -> StatsOut:
    """How recent transfers ended, which are not final and for how long, and amounts in transit."""
    found = await remit.stats.read()
    if (oldest := found.oldest_not_final) is None:
        return StatsOut.of(found, None)
    return StatsOut.of(found, AnyTransferOut.told(oldest, remit.web_ui.workflow(oldest.workflow_id)))
