"""A customer's accounts, their entries, deposits and withdrawals."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query, Response, status

from api.accounts.entries import EntryFilters, entries_page
from api.accounts.models import (
    AccountIn,
    AccountNameIn,
    AccountOut,
    AccountsOut,
    BalanceOut,
    CashIn,
    EntriesOut,
    LimitsOut,
    StatisticsOut,
)
from api.auth.sessions import AccountsRead, AccountsWrite, Caller, TransfersWrite
from api.contract.response_headers import CREATED
from api.http.fields import Moment
from api.http.headers import IdempotencyKey, WaitSeconds
from api.http.problems import Problem, problem_responses
from api.http.repeats import KEYED, KeptAnswers
from api.http.route import CheckedRoute
from api.services import Remit, Services
from api.transfers.acceptance import TransferRequest
from api.transfers.models import TransferOut
from api.transfers.responses import TRANSFER_RESPONSES, move
from customers.customer import AccountExists, IdentityMissing
from ledger.accounts import Account
from ledger.ids import WORLD, AccountId

router = APIRouter(prefix="/v1/accounts", tags=["accounts"], route_class=CheckedRoute)

_CASH_RESPONSES = TRANSFER_RESPONSES | problem_responses(
    "sandbox_rails_off", "validation_failed", "idempotency_key_reused", "transaction_id_reused"
)
_READING = ("not_authenticated", "token_expired", "database_unavailable")


@router.get("", operation_id="accounts.list", summary="List my accounts", responses=problem_responses(*_READING))
async def accounts(session: AccountsRead, remit: Remit) -> AccountsOut:
    """Oldest first. A customer has at most one account per currency."""
    return AccountsOut(
        items=[AccountOut.of(account) for account in await remit.account_reads.all_of(session.customer.id)]
    )


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    operation_id="accounts.create",
    summary="Open an account",
    responses=CREATED
    | problem_responses(*_READING, *KEYED, "identity_missing", "invalid_json", "account_exists", "validation_failed"),
)
async def open_account(
    wanted: AccountIn, session: AccountsWrite, remit: Remit, answers: KeptAnswers, response: Response
) -> AccountOut:
    """Opens an empty account. A customer has at most one per currency."""
    keep = answers.keep(AccountOut.of, status.HTTP_201_CREATED, _location)
    try:
        account = await remit.customers.open_account(session.customer.id, wanted.currency, keep, name=wanted.name)
    except AccountExists as error:
        raise Problem("account_exists", f"You hold an account in {wanted.currency} already.") from error
    except IdentityMissing as error:
        raise Problem("identity_missing") from error
    response.headers["Location"] = _location(account)
    return AccountOut.of(account)


@router.get(
    "/{account_id}",
    operation_id="accounts.get",
    summary="Get an account",
    responses=problem_responses(*_READING, "account_not_found"),
)
async def account(account_id: AccountId, session: AccountsRead, remit: Remit) -> AccountOut:
    """The balance is in the currency's minor unit. `version` counts the account's entries."""
    return AccountOut.of(await _own_account(account_id, session, remit))


@router.patch(
    "/{account_id}",
    operation_id="accounts.rename",
    summary="Name an account",
    responses=problem_responses(*_READING, "account_not_found", "invalid_json", "validation_failed"),
)
async def rename(account_id: AccountId, wanted: AccountNameIn, session: AccountsWrite, remit: Remit) -> AccountOut:
    """Sets what the customer calls the account. Only they and staff see the name. A repeat changes nothing."""
    renamed = await remit.customers.rename_account(session.customer.id, account_id, wanted.name)
    if renamed is None:
        raise Problem("account_not_found")
    return AccountOut.of(renamed)


@router.get(
    "/{account_id}/balance",
    operation_id="accounts.balance",
    summary="Read an account's balance, now or at a moment",
    responses=problem_responses(*_READING, "account_not_found", "validation_failed"),
)
async def balance(
    account_id: AccountId,
    session: AccountsRead,
    remit: Remit,
    at: Annotated[
        Moment | None, Query(description="A moment with its offset from UTC; the present, where it is not given")
    ] = None,
) -> BalanceOut:
    """With `at`: the balance after the last entry that was recorded by then. A moment to come is the present.

    Once a moment is a minute ago, its balance never changes. What was held then is not kept, so `held` and `available`
    are null.
    """
    own = await _own_account(account_id, session, remit)
    if at is None:
        return BalanceOut.of(own, datetime.now(UTC))
    return BalanceOut.of_past(own, await remit.account_reads.balance_at(account_id, at))


@router.get(
    "/{account_id}/stats",
    operation_id="accounts.stats",
    summary="Read an account's statistics",
    responses=problem_responses(*_READING, "account_not_found", "validation_failed"),
)
async def stats(account_id: AccountId, session: AccountsRead, remit: Remit) -> StatisticsOut:
    """Added up from the entries, at this moment. Reversals count as transfers."""
    own = await _own_account(account_id, session, remit)
    return StatisticsOut.of(own, await remit.account_reads.statistics(account_id))


@router.get(
    "/{account_id}/limits",
    operation_id="accounts.limits",
    summary="Read an account's limits",
    responses=problem_responses(*_READING, "account_not_found"),
)
async def limits(account_id: AccountId, session: AccountsRead, remit: Remit) -> LimitsOut:
    """What the account may send and hold, how much of it is used, and when a total begins again."""
    found = await remit.account_reads.find_with_time(account_id, session.customer.id)
    if found is None:
        raise Problem("account_not_found")
    account, now = found
    return LimitsOut.of(account, remit.limits, now)


@router.get(
    "/{account_id}/entries",
    operation_id="accounts.entries",
    summary="Read an account's entries",
    responses=problem_responses(*_READING, "account_not_found", "cursor_invalid", "validation_failed"),
)
async def entries(
    account_id: AccountId,
    session: AccountsRead,
    remit: Remit,
    wanted: Annotated[EntryFilters, Query()],
) -> EntriesOut:
    """Newest first. Entries are never changed or removed, so a page always stays the same."""
    return await entries_page(remit, await _own_account(account_id, session, remit), wanted)


@router.post(
    "/{account_id}/deposits",
    status_code=status.HTTP_201_CREATED,
    operation_id="accounts.deposit",
    summary="Deposit money (sandbox rail)",
    responses=_CASH_RESPONSES,
)
async def deposit(
    account_id: AccountId,
    wanted: CashIn,
    session: TransfersWrite,
    remit: Remit,
    key: IdempotencyKey,
    wait: WaitSeconds,
    response: Response,
) -> TransferOut:
    """A transfer from the system account `world`. One `transaction_id` never moves money twice, whatever the key."""
    return await _cash(remit, session, key, _request(WORLD, account_id, wanted), wait, response)


@router.post(
    "/{account_id}/withdrawals",
    status_code=status.HTTP_201_CREATED,
    operation_id="accounts.withdraw",
    summary="Withdraw money (sandbox rail)",
    responses=_CASH_RESPONSES,
)
async def withdraw(
    account_id: AccountId,
    wanted: CashIn,
    session: TransfersWrite,
    remit: Remit,
    key: IdempotencyKey,
    wait: WaitSeconds,
    response: Response,
) -> TransferOut:
    """A transfer to the system account `world`. One `transaction_id` never moves money twice, whatever the key."""
    return await _cash(remit, session, key, _request(account_id, WORLD, wanted), wait, response)


def _location(account: Account) -> str:
    return f"/v1/accounts/{account.id}"


async def _own_account(account_id: AccountId, session: Caller, remit: Services) -> Account:
    found = await remit.account_reads.own(session.customer.id, account_id)
    if found is None:
        raise Problem("account_not_found")
    return found


def _request(source: AccountId, destination: AccountId, wanted: CashIn) -> TransferRequest:
    return TransferRequest(
        source,
        destination,
        wanted.amount,
        wanted.currency,
        transaction_id=wanted.transaction_id,
        metadata=wanted.metadata,
    )


async def _cash(
    remit: Services, session: Caller, key: str, requested: TransferRequest, wait: int, response: Response
) -> TransferOut:
    if not remit.sandbox_rails:
        raise Problem("sandbox_rails_off")
    return await move(remit, session, key, requested, wait, response)
