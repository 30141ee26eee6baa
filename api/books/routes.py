"""The books as a whole: totals, audit and statistics."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from api.books.models import AuditIn, AuditOut, AuditProgressOut, BooksOut, StatsOut, TotalsOut
from api.http.fields import Moment
from api.http.problems import Problem, problem_responses
from api.http.repeats import KEYED, KeptAnswers
from api.http.route import CheckedRoute
from api.services import Remit
from api.staff.authorization import ACTING, READING, Staff, may
from api.transfers.staff_models import AnyTransferOut
from staff.period_stats.period import LONGEST, Period
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
    "/audit",
    operation_id="admin.books.get_audit",
    summary="Get how far an audit is",
    responses=problem_responses(*READING),
)
async def audit_progress(_: Staff, remit: Remit) -> AuditProgressOut:
    """Of the one that runs now, whoever began it: how many accounts it has looked at, of how many."""
    return AuditProgressOut.of(await remit.stats.audit_progress())


@router.get(
    "/stats",
    operation_id="admin.stats.get",
    summary="Get statistics for operators",
    responses=problem_responses(*READING, "validation_failed", "period_too_large"),
)
async def stats(
    _: Staff,
    remit: Remit,
    from_: Annotated[Moment | None, Query(alias="from", description="The period begins; 31 days at most")] = None,
    to: Annotated[Moment | None, Query(description="The period ends before this; without it, now")] = None,
) -> StatsOut:
    """How recent transfers ended, which are not final and for how long, and amounts in transit.

    With `from`, also of the transfers that were created in that period: counts by state, volume by currency, failures
    by code, and how long they took; and how many customers registered in it.
    """
    wanted = _period(from_, to)
    found = await remit.stats.read()
    period = await remit.period_reads.read(wanted) if wanted else None
    if (oldest := found.oldest_not_final) is None:
        return StatsOut.of(found, None, period)
    return StatsOut.of(found, AnyTransferOut.for_staff(oldest, remit.web_ui.workflow(oldest.workflow_id)), period)


def _period(begins: datetime | None, ends: datetime | None) -> Period | None:
    """The period that is asked for. Raises a problem (422)."""
    if begins is None:
        if ends is not None:
            raise Problem("validation_failed", "query.from: A period needs its beginning.")
        return None
    ends = ends or datetime.now(UTC)
    if not timedelta(0) < ends - begins <= LONGEST:
        raise Problem("validation_failed", f"query.to: After `from`, and at most {LONGEST.days} days later.")
    return Period(begins, ends)
