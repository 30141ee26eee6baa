"""Deposits and withdrawals of payment rails, which come with the API key of a rail.

A rail is a program of the service's own: an admin makes its key. It moves money between `world` and any customer's
account, so the transfer is its customer's own, under a key that names the rail.
"""

import hashlib

from fastapi import APIRouter, Response, status

from api.auth.sessions import Caller, RailsWrite
from api.http.headers import RAILS_KEY, IdempotencyKey, WaitSeconds
from api.http.problems import Problem, problem_responses
from api.http.repeats import KeptAnswers
from api.http.route import CheckedRoute
from api.payees.routes import payee_account
from api.rails.models import RailMovementIn
from api.services import Remit, Services
from api.transfers.acceptance import TransferRequest, order_for
from api.transfers.models import TransferOut
from api.transfers.responses import TRANSFER_PROBLEMS, accepted, show_progress
from ledger.accounts import Account
from ledger.ids import SYSTEM_CUSTOMER, WORLD
from staff.account_actions import SystemsAccount
from staff.permissions import Action, ConflictOfInterest

router = APIRouter(prefix="/v1/rails", tags=["accounts"], route_class=CheckedRoute)

_RESPONSES = accepted(TransferOut) | problem_responses(
    *TRANSFER_PROBLEMS,
    "forbidden",
    "conflict_of_interest",
    "account_not_found",
    "payee_not_found",
    "account_of_system",
    "validation_failed",
    "idempotency_key_reused",
    "transaction_id_reused",
    "too_many_payee_checks",
    "too_busy",
)


@router.post(
    "/deposits",
    status_code=status.HTTP_201_CREATED,
    operation_id="rails.deposit",
    summary="Deposit what reached the bank (rails)",
    responses=_RESPONSES,
)
async def deposit(
    wanted: RailMovementIn,
    rail: RailsWrite,
    remit: Remit,
    key: IdempotencyKey,
    wait: WaitSeconds,
    answers: KeptAnswers,
    response: Response,
) -> TransferOut:
    """A transfer from `world` to a customer's account. One `transaction_id` never moves money twice, whatever the key.

    A repeat with the key answers with the transfer's present state.
    """
    account = await _account(remit, rail, wanted)
    requested = TransferRequest(
        WORLD,
        account.id,
        wanted.amount,
        wanted.currency,
        transaction_id=wanted.transaction_id,
        metadata=wanted.metadata,
    )
    return await _move(remit, rail, key, account, requested, wait, answers, response)


@router.post(
    "/withdrawals",
    status_code=status.HTTP_201_CREATED,
    operation_id="rails.withdraw",
    summary="Withdraw what is paid out (rails)",
    responses=_RESPONSES,
)
async def withdraw(
    wanted: RailMovementIn,
    rail: RailsWrite,
    remit: Remit,
    key: IdempotencyKey,
    wait: WaitSeconds,
    answers: KeptAnswers,
    response: Response,
) -> TransferOut:
    """A transfer from a customer's account to `world`. Pay out once it is completed, not before."""
    account = await _account(remit, rail, wanted)
    if account.owner_id == SYSTEM_CUSTOMER:
        raise SystemsAccount(account.id)
    requested = TransferRequest(
        account.id,
        WORLD,
        wanted.amount,
        wanted.currency,
        transaction_id=wanted.transaction_id,
        metadata=wanted.metadata,
    )
    return await _move(remit, rail, key, account, requested, wait, answers, response)


async def _account(remit: Services, rail: Caller, wanted: RailMovementIn) -> Account:
    account = await remit.account_reads.find(await payee_account(remit, rail, wanted.account_id))
    if account is None:
        raise Problem("account_not_found", f"There is no account {wanted.account_id}.")
    if account.owner_id == rail.customer.id:
        raise ConflictOfInterest(Action.FUND_ACCOUNT)
    return account


async def _move(
    remit: Services,
    rail: Caller,
    key: str,
    account: Account,
    requested: TransferRequest,
    wait: int,
    answers: KeptAnswers,
    response: Response,
) -> TransferOut:
    """Use the rail's key up for this request, then move under a key of the account's owner that follows from it."""
    await answers.name_attempt(1)
    owners_key = f"{RAILS_KEY}{rail.customer.id}/{hashlib.sha256(key.encode()).hexdigest()[:40]}"
    moved = await remit.acceptance.accept(order_for(account.owner_id, owners_key, requested), wait)
    if moved.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    show_progress(moved.transfer, response, f"/v1/transfers/{moved.transfer.id}")
    # A rail follows what it asked for, in an account that is not its own.
    return TransferOut.of(moved.transfer, rail.customer.id).owned_by(account.owner_id, rail.reader_id)
