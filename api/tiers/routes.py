"""Requests for a higher tier: a customer asks with another document, and follows what becomes of it."""

from typing import Annotated

from fastapi import APIRouter, Query, Response, status

from api.auth.sessions import CurrentSession
from api.contract.response_headers import CREATED
from api.http.paging import next_cursor
from api.http.problems import Problem, problem_responses
from api.http.repeats import KEYED, KeptAnswers
from api.http.route import CheckedRoute
from api.services import Remit
from api.staff.authorization import ACTING, READING
from api.tiers.models import TierRequestFilters, TierRequestIn, TierRequestOut, TierRequestsOut
from ledger.ids import AccountId, TierRequestId
from tiers.tier_request import NoSuchTierRequest, TierRequest

router = APIRouter(prefix="/v1", tags=["accounts"], route_class=CheckedRoute)

_READING = tuple(code for code in READING if code != "forbidden")
_WRITING = (*(code for code in ACTING if code not in ("forbidden", "conflict_of_interest")), *KEYED)


@router.post(
    "/accounts/{account_id}/tier-requests",
    status_code=status.HTTP_201_CREATED,
    operation_id="tiers.create_request",
    summary="Ask for a higher tier",
    responses=CREATED | problem_responses(*_WRITING, "account_not_found", "tier_not_higher", "tier_request_open"),
)
async def ask(
    account_id: AccountId,
    wanted: TierRequestIn,
    session: CurrentSession,
    remit: Remit,
    answers: KeptAnswers,
    response: Response,
) -> TierRequestOut:
    """Ask with another document than the one you registered with. Staff decide, or the request expires.

    The document's number is kept encrypted. Only its last characters are ever shown.
    """
    keep = answers.keep(TierRequestOut.of, status.HTTP_201_CREATED, _location)
    document = wanted.document
    opened = await remit.tier_requests.open(
        session.customer.id, account_id, wanted.tier, document.type, document.number, keep
    )
    if opened is None:
        raise Problem("account_not_found")
    # While Temporal gives no answer, the row is committed all the same, and recovery starts its workflow later.
    await remit.temporal.start_tier_request(opened)
    response.headers["Location"] = _location(opened)
    return TierRequestOut.of(opened)


@router.get(
    "/accounts/{account_id}/tier-requests",
    operation_id="tiers.list_requests",
    summary="List an account's requests for a higher tier",
    responses=problem_responses(*_READING, "account_not_found", "cursor_invalid", "validation_failed"),
)
async def requests(
    account_id: AccountId,
    session: CurrentSession,
    remit: Remit,
    wanted: Annotated[TierRequestFilters, Query()],
) -> TierRequestsOut:
    """Newest first."""
    if await remit.account_reads.own(session.customer.id, account_id) is None:
        raise Problem("account_not_found")
    name = f"tier requests of {account_id}"
    before = remit.cursors.read_place(name, wanted.cursor)
    page = await remit.tier_requests.all_of(
        wanted.limit, account_id=account_id, state=wanted.state, before=before, within=wanted.span
    )
    return TierRequestsOut(
        items=[TierRequestOut.of(each) for each in page.items],
        next_cursor=next_cursor(page, lambda last: remit.cursors.sign_place(name, last.created_at, last.id)),
    )


@router.get(
    "/tier-requests/{request_id}",
    operation_id="tiers.get_request",
    summary="Get a request for a higher tier",
    responses=problem_responses(*_READING, "tier_request_not_found"),
)
async def request(request_id: TierRequestId, session: CurrentSession, remit: Remit) -> TierRequestOut:
    """Whether it is decided, and why so."""
    found, _ = await remit.tier_requests.find(request_id)
    if found.customer_id != session.customer.id:
        raise NoSuchTierRequest(request_id)
    return TierRequestOut.of(found)


def _location(opened: TierRequest) -> str:
    return f"/v1/tier-requests/{opened.id}"
