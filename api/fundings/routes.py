"""Fundings: money of the system for a customer's account, at the request of staff."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response, status

from api.auth.sessions import CurrentSession
from api.fundings.models import FundingIn
from api.http.headers import IdempotencyKey, WaitSeconds
from api.http.problems import problem_responses
from api.http.route import CheckedRoute
from api.services import Remit
from api.staff.authorization import may
from api.transfers.acceptance import TransferRequest
from api.transfers.models import TransferOut
from api.transfers.responses import TRANSFER_RESPONSES, move
from ledger.transfers import Kind
from staff.account_actions import NoSuchAccount, check_account_action
from staff.permissions import Action, Actor

router = APIRouter(prefix="/v1/admin/fundings", tags=["admin"], route_class=CheckedRoute)


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    operation_id="admin.fundings.create",
    summary="Fund an account",
    responses=TRANSFER_RESPONSES
    | problem_responses(
        "forbidden",
        "conflict_of_interest",
        "account_not_found",
        "validation_failed",
        "account_of_system",
        "idempotency_key_reused",
        "transaction_id_reused",
    ),
)
async def fund(
    wanted: FundingIn,
    actor: Annotated[Actor, Depends(may(Action.FUND_ACCOUNT))],
    session: CurrentSession,
    remit: Remit,
    key: IdempotencyKey,
    wait: WaitSeconds,
    response: Response,
) -> TransferOut:
    """Moves an amount from the system's account to a customer's, by a transfer of the kind `funding`.

    The system's account may go below zero, as far as the floor that is set; beyond it the funding fails with
    `insufficient_funds`. A large one waits in review until somebody else of the staff approves it.
    """
    account = await remit.account_reads.find(wanted.account_id)
    if account is None:
        raise NoSuchAccount(wanted.account_id)
    check_account_action(actor, Action.FUND_ACCOUNT, account)
    requested = TransferRequest(
        await remit.funding_accounts.account_id(wanted.currency),
        wanted.account_id,
        wanted.amount,
        wanted.currency,
        note=wanted.reason,
        transaction_id=wanted.transaction_id,
        kind=Kind.FUNDING,
    )
    return await move(remit, session, key, requested, wait, response)
