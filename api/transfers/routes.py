"""Transfers: ask for one, follow it, list them, and prove how one ended."""

from typing import Annotated

from fastapi import APIRouter, Query, Response, status

from api.auth.sessions import Caller, TransfersRead, TransfersWrite
from api.http.headers import IdempotencyKey, WaitSeconds
from api.http.paging import next_cursor
from api.http.problems import Problem, problem_responses
from api.http.repeats import KEYED, REPLAYED, KeptAnswers
from api.http.route import CheckedRoute
from api.payees.counterparties import counterparties
from api.payees.routes import payee_account
from api.services import Remit
from api.transfers.acceptance import TransferRequest
from api.transfers.filters import TransferFilters
from api.transfers.models import AttemptOut, AttemptsOut, PostingOut, ReceiptOut, TransferIn, TransferOut, TransfersOut
from api.transfers.responses import RETRY_PROBLEMS, TRANSFER_RESPONSES, accepted, move, show_progress
from api.transfers.reversal_checks import check_is_given_back, check_left
from ledger.ids import TransferId
from ledger.money import Money
from ledger.rules import ended_by_staff
from ledger.transfers import Transfer

router = APIRouter(prefix="/v1/transfers", tags=["transfers"], route_class=CheckedRoute)

_READING = ("not_authenticated", "token_expired", "database_unavailable")


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    operation_id="transfers.create",
    summary="Transfer money",
    responses=TRANSFER_RESPONSES
    | problem_responses(
        "payee_not_found", "validation_failed", "same_account", "idempotency_key_reused", "too_many_payee_checks"
    ),
)
async def transfer_money(
    wanted: TransferIn,
    session: TransfersWrite,
    remit: Remit,
    key: IdempotencyKey,
    wait: WaitSeconds,
    response: Response,
) -> TransferOut:
    """Move an amount from one of my accounts to any account, named by its id or its number.

    Answers 201 once the transfer is final and 202 when it is still under way after the wait. A refusal (too little
    money, a frozen account, …) is an outcome, not an error: 201 with `state: "failed"` and a `failure`.
    """
    destination = await payee_account(remit, session, wanted.destination_account_id)
    if wanted.source_account_id == destination:
        raise Problem("same_account")
    requested = TransferRequest(
        wanted.source_account_id,
        destination,
        wanted.amount,
        wanted.currency,
        note=wanted.note,
        metadata=wanted.metadata,
    )
    return await move(remit, session, key, requested, wait, response)


@router.get(
    "",
    operation_id="transfers.list",
    summary="List my transfers",
    responses=problem_responses(*_READING, "cursor_invalid", "account_not_found", "validation_failed"),
)
async def transfers(wanted: Annotated[TransferFilters, Query()], session: TransfersRead, remit: Remit) -> TransfersOut:
    """Newest first: those I asked for, and those that reached an account of mine; and with whom money has moved."""
    me = session.customer.id
    before = remit.cursors.read_place("transfers", wanted.cursor)
    if wanted.account_id is not None and await remit.account_reads.own(me, wanted.account_id) is None:
        raise Problem("account_not_found")
    page = await remit.transfer_reads.find(me, wanted.of_customer(before), wanted.limit)
    return TransfersOut(
        items=[TransferOut.of(transfer, me) for transfer in page.items],
        next_cursor=next_cursor(page, lambda last: remit.cursors.sign_place("transfers", last.created_at, last.id)),
        counterparties=await counterparties(remit, me, page.items),
    )


@router.get(
    "/{transfer_id}",
    operation_id="transfers.get",
    summary="Get a transfer",
    responses=problem_responses(*_READING, "transfer_not_found"),
)
async def transfer(transfer_id: TransferId, session: TransfersRead, remit: Remit) -> TransferOut:
    """Readable from the moment it was accepted."""
    return TransferOut.of(await _mine(transfer_id, session, remit), session.customer.id)


@router.get(
    "/{transfer_id}/receipt",
    operation_id="transfers.receipt",
    summary="Get a transfer's receipt",
    responses=problem_responses(*_READING, "transfer_not_found", "transfer_not_final"),
)
async def receipt(transfer_id: TransferId, session: TransfersRead, remit: Remit) -> ReceiptOut:
    """Proof of a final transfer: what it was, how it ended, and the postings in the ledger."""
    found = await _mine(transfer_id, session, remit)
    if not found.state.is_final:
        raise Problem("transfer_not_final", f"The transfer is {found.state}; its receipt is there once it is final.")
    postings = await remit.transfer_reads.postings(transfer_id)
    me = session.customer.id
    others = await counterparties(remit, me, [found])
    return ReceiptOut(
        transfer=TransferOut.of(found, me),
        counterparty=next(iter(others.values()), None),
        amount_text=str(Money(found.amount_minor, found.currency)),
        postings=[
            PostingOut(id=line.id, leg=line.leg, amount=line.amount_minor, recorded_at=line.recorded_at)
            for line in postings
        ],
    ).owned_by(*found.readers)


@router.post(
    "/{transfer_id}/cancel",
    operation_id="transfers.cancel",
    summary="Cancel a transfer",
    responses=problem_responses(*_READING, *KEYED, "transfer_not_found", "forbidden", "too_late_to_cancel"),
)
async def cancel(transfer_id: TransferId, session: TransfersWrite, remit: Remit, answers: KeptAnswers) -> TransferOut:
    """Possible until the amount leaves its source. Cancelling again answers the same.

    What staff reversed for others they cancel by the admin route, which records it.
    """
    found = await _asked_by_me(transfer_id, session, remit)
    await check_is_given_back(remit.account_reads, session.customer, found)
    me = session.customer.id

    def shown(cancelled: Transfer) -> TransferOut:
        return TransferOut.of(cancelled, me)

    return shown(await remit.acceptance.cancel(found, answers.keep(shown)))


@router.post(
    "/{transfer_id}/retry",
    status_code=status.HTTP_201_CREATED,
    operation_id="transfers.retry",
    summary="Try a failed or compensated transfer again",
    responses=accepted(TransferOut)
    | problem_responses(
        *_READING,
        *KEYED,
        "transfer_not_found",
        *RETRY_PROBLEMS,
        "ended_by_staff",
        "forbidden",
        "temporal_unavailable",
    ),
)
async def retry(
    transfer_id: TransferId,
    session: TransfersWrite,
    remit: Remit,
    wait: WaitSeconds,
    answers: KeptAnswers,
    response: Response,
) -> TransferOut:
    """The same transfer under the same id and key, at most 3 attempts in all. 201 when final, 202 when not yet.

    With a key, a repeat gets the present state of the attempt that the first request began, and begins no other.

    What staff rejected in review, or cancelled after its debit, only staff try again.
    What staff reversed for others they try again by the admin route, which records it.
    """
    found = await _asked_by_me(transfer_id, session, remit)
    if answers.begun is not None and found.attempt >= answers.begun:
        begun = await remit.acceptance.until_final(found, wait)
        response.headers[REPLAYED] = "true"
    else:
        await check_is_given_back(remit.account_reads, session.customer, found)
        if ended_by_staff(found):
            raise Problem("ended_by_staff")
        await check_left(remit.reversals, session.customer.id, found)
        begun = await remit.acceptance.retry(found, wait, answers.name_attempt)
    show_progress(begun, response, f"/v1/transfers/{begun.id}")
    return TransferOut.of(begun, session.customer.id)


@router.get(
    "/{transfer_id}/attempts",
    operation_id="transfers.attempts",
    summary="List a transfer's attempts",
    responses=problem_responses(*_READING, "transfer_not_found"),
)
async def attempts(transfer_id: TransferId, session: TransfersRead, remit: Remit) -> AttemptsOut:
    """Oldest first, the current one last, each with how it ended."""
    found = await _asked_by_me(transfer_id, session, remit)
    earlier = await remit.transfer_reads.earlier_attempts(transfer_id)
    listed = (*earlier, found.current_attempt)
    items = [AttemptOut.model_validate(attempt, from_attributes=True) for attempt in listed]
    return AttemptsOut(items=items).owned_by(found.owner_id)


async def _asked_by_me(transfer_id: TransferId, session: Caller, remit: Remit) -> Transfer:
    """A payee may see a transfer, and only its owner may cancel or retry it."""
    found = await _mine(transfer_id, session, remit)
    if found.owner_id != session.customer.id:
        raise Problem("transfer_not_found")
    return found


async def _mine(transfer_id: TransferId, session: Caller, remit: Remit) -> Transfer:
    found = await remit.transfer_reads.visible(session.customer.id, transfer_id)
    if found is None:
        raise Problem("transfer_not_found")
    return found
