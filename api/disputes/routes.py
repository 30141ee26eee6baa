"""Disputes: a payer objects to a completed transfer, and both parties make statements and follow the outcome."""

from typing import Annotated

from fastapi import APIRouter, Query, Response, status

from api.auth.sessions import Caller, DisputesRead, DisputesWrite
from api.contract.response_headers import CREATED
from api.disputes.models import DisputeFilters, DisputeIn, DisputeOut, DisputesOut, StatementIn
from api.http.paging import next_cursor
from api.http.problems import Problem, problem_responses
from api.http.repeats import KEYED, KeptAnswers
from api.http.route import CheckedRoute
from api.services import Remit, Services
from api.staff.authorization import ACTING, READING
from disputes.dispute import Dispute, NoSuchDispute
from disputes.postgres.dispute_reads import DisputeFile
from ledger.ids import DisputeId, TransferId
from staff.permissions import STAFF

router = APIRouter(prefix="/v1", tags=["disputes"], route_class=CheckedRoute)

_READING = tuple(code for code in READING if code != "forbidden")
_WRITING = (*(code for code in ACTING if code not in ("forbidden", "conflict_of_interest")), *KEYED)


@router.post(
    "/transfers/{transfer_id}/disputes",
    status_code=status.HTTP_201_CREATED,
    operation_id="disputes.create",
    summary="Dispute a transfer",
    responses=CREATED | problem_responses(*_WRITING, "transfer_not_found", "not_disputable", "dispute_open"),
)
async def open_dispute(
    transfer_id: TransferId,
    wanted: DisputeIn,
    session: DisputesWrite,
    remit: Remit,
    answers: KeptAnswers,
    response: Response,
) -> DisputeOut:
    """Object to a completed transfer of mine. Staff decide, or the dispute expires at its deadline."""
    me = session.customer.id
    keep = answers.keep(_as_opened, status.HTTP_201_CREATED, _location)
    opened = await remit.disputes.open(me, transfer_id, wanted.reason, remit.dispute_terms, keep)
    if opened is None:
        raise Problem("transfer_not_found")
    # While Temporal gives no answer, the row is committed all the same, and recovery starts its workflow later.
    await remit.temporal.start_dispute(opened)
    response.headers["Location"] = _location(opened)
    return _as_opened(opened)


@router.get(
    "/disputes",
    operation_id="disputes.list",
    summary="List my disputes",
    responses=problem_responses(*_READING, "cursor_invalid", "validation_failed"),
)
async def disputes(
    session: DisputesRead,
    remit: Remit,
    wanted: Annotated[DisputeFilters, Query()],
) -> DisputesOut:
    """Disputes about transfers that I sent or received, newest first, without their statements."""
    before = remit.cursors.read_place("disputes", wanted.cursor)
    page = await remit.disputes.all_of(session.customer.id, wanted.state, before, wanted.limit, within=wanted.span)
    return DisputesOut(
        items=[DisputeOut.of(dispute, [], as_staff=False) for dispute in page.items],
        next_cursor=next_cursor(page, lambda last: remit.cursors.sign_place("disputes", last.created_at, last.id)),
    )


@router.get(
    "/disputes/{dispute_id}",
    operation_id="disputes.get",
    summary="Get a dispute",
    responses=problem_responses(*_READING, "dispute_not_found"),
)
async def dispute(dispute_id: DisputeId, session: DisputesRead, remit: Remit) -> DisputeOut:
    """The dispute with its statements and its decision, for the parties and staff."""
    return await _readable(dispute_id, session, remit)


@router.post(
    "/disputes/{dispute_id}/statements",
    status_code=status.HTTP_201_CREATED,
    operation_id="disputes.add_statement",
    summary="Make a statement",
    responses=problem_responses(*_WRITING, "dispute_not_found", "dispute_closed", "too_many_statements"),
)
async def add_statement(
    dispute_id: DisputeId, wanted: StatementIn, session: DisputesWrite, remit: Remit, answers: KeptAnswers
) -> DisputeOut:
    """A statement of a party while the dispute is open. It cannot be changed or removed."""
    found = await remit.disputes.find(dispute_id)
    if found is None or session.customer.id not in found[0].parties:
        raise NoSuchDispute(dispute_id)
    keep = answers.keep(_for_party, status.HTTP_201_CREATED)
    await remit.disputes.add_statement(dispute_id, session.customer.id, wanted.text, keep)
    await remit.temporal.nudge_dispute(found[0])
    return await _readable(dispute_id, session, remit)


def _location(dispute: Dispute) -> str:
    return f"/v1/disputes/{dispute.id}"


def _as_opened(dispute: Dispute) -> DisputeOut:
    return DisputeOut.of(dispute, [], as_staff=False)


def _for_party(file: DisputeFile) -> DisputeOut:
    return DisputeOut.of(*file, as_staff=False)


async def _readable(dispute_id: DisputeId, session: Caller, remit: Services) -> DisputeOut:
    found = await remit.disputes.find(dispute_id)
    is_staff = session.role in STAFF
    if found is None or not (is_staff or session.customer.id in found[0].parties):
        raise NoSuchDispute(dispute_id)
    # Staff who are a party get the answer for a party.
    return DisputeOut.of(*found, as_staff=is_staff and session.customer.id not in found[0].parties)
