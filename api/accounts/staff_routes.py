"""Accounts for staff: read, freeze, unfreeze, close, set the tier, and rebuild from the entries."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response, status

from api.accounts.entries import EntryFilters, entries_page
from api.accounts.models import AccountFileOut, EntriesOut, FreezeIn, LimitsOut, MarkedAccountOut, TierIn
from api.http.problems import problem_responses
from api.http.repeats import KEYED, KeptAnswers
from api.http.route import CheckedRoute
from api.rebuilds.models import RebuildSummaryOut
from api.rebuilds.outcome import completed_rebuild
from api.rebuilds.routes import location_of
from api.services import Remit, Services
from api.staff.authorization import ACTING, READING, Staff, may
from api.staff.models import ReasonIn
from ledger.accounts import Account
from ledger.ids import AccountId
from staff.account_actions import NoSuchAccount
from staff.permissions import Action, Actor

router = APIRouter(prefix="/v1/admin/accounts/{account_id}", tags=["admin"], route_class=CheckedRoute)

_REBUILD_GOES_ON: dict[int | str, dict[str, Any]] = {
    202: {"model": RebuildSummaryOut, "description": "The rebuild goes on"}
}
_CHANGING = (*ACTING, *KEYED, "account_not_found")


@router.get(
    "",
    operation_id="admin.accounts.get",
    summary="Get any account",
    responses=problem_responses(*READING, "account_not_found"),
)
async def account(account_id: AccountId, reader: Staff, remit: Remit) -> MarkedAccountOut:
    """The balance is in the currency's minor unit. `version` counts the entries; `head_hash` is their last hash.

    `open_case_id` marks an account that screening has flagged. Of their own accounts, staff do not see it.
    """
    found = await _any_account(account_id, remit)
    open_case = None if found.owner_id == reader.id else await remit.cases.open_case_of(account_id)
    return MarkedAccountOut.marked(found, open_case)


@router.get(
    "/limits",
    operation_id="admin.accounts.limits",
    summary="Read any account's limits",
    responses=problem_responses(*READING, "account_not_found"),
)
async def limits(account_id: AccountId, _: Staff, remit: Remit) -> LimitsOut:
    """With the same contents as for its owner."""
    found = await remit.account_reads.find_with_time(account_id)
    if found is None:
        raise NoSuchAccount(account_id)
    account, now = found
    return LimitsOut.of(account, remit.limits, now)


@router.get(
    "/entries",
    operation_id="admin.accounts.entries",
    summary="Read any account's entries",
    responses=problem_responses(*READING, "account_not_found", "cursor_invalid", "validation_failed"),
)
async def entries(
    account_id: AccountId,
    _: Staff,
    remit: Remit,
    wanted: Annotated[EntryFilters, Query()],
) -> EntriesOut:
    """Newest first, with the same contents as for its owner."""
    return await entries_page(remit, await _any_account(account_id, remit), wanted)


@router.post(
    "/freeze",
    operation_id="admin.accounts.freeze",
    summary="Freeze an account",
    responses=problem_responses(*_CHANGING, "account_closed", "account_already_frozen"),
)
async def freeze(
    account_id: AccountId,
    wanted: FreezeIn,
    actor: Annotated[Actor, Depends(may(Action.FREEZE_ACCOUNT))],
    remit: Remit,
    answers: KeptAnswers,
) -> AccountFileOut:
    """Stops debits, credits or both until the account is unfrozen. Refunds reach it all the same.

    A step that has locked the account ends first. Amounts in transit to an account whose credits are frozen return to
    their source. Freezing a frozen account in another way changes what is stopped; in the same way, it is refused.
    """
    keep = answers.keep(AccountFileOut.of)
    return AccountFileOut.of(
        await remit.operators.set_status(actor, Action.FREEZE_ACCOUNT, account_id, wanted.reason, keep, wanted.frozen)
    )


@router.post(
    "/unfreeze",
    operation_id="admin.accounts.unfreeze",
    summary="Unfreeze an account",
    responses=problem_responses(*_CHANGING, "account_closed", "account_not_frozen"),
)
async def unfreeze(
    account_id: AccountId,
    wanted: ReasonIn,
    actor: Annotated[Actor, Depends(may(Action.UNFREEZE_ACCOUNT))],
    remit: Remit,
    answers: KeptAnswers,
) -> AccountFileOut:
    """Money can move from and to the account again."""
    keep = answers.keep(AccountFileOut.of)
    return AccountFileOut.of(
        await remit.operators.set_status(actor, Action.UNFREEZE_ACCOUNT, account_id, wanted.reason, keep)
    )


@router.post(
    "/close",
    operation_id="admin.accounts.close",
    summary="Close an account for good (admins)",
    responses=problem_responses(
        *_CHANGING, "account_closed", "account_of_system", "account_not_empty", "account_in_transit"
    ),
)
async def close(
    account_id: AccountId,
    wanted: ReasonIn,
    actor: Annotated[Actor, Depends(may(Action.CLOSE_ACCOUNT))],
    remit: Remit,
    answers: KeptAnswers,
) -> AccountFileOut:
    """The account must be empty, and every transfer from or to it must have ended. It never opens again."""
    keep = answers.keep(AccountFileOut.of)
    return AccountFileOut.of(
        await remit.operators.set_status(actor, Action.CLOSE_ACCOUNT, account_id, wanted.reason, keep)
    )


@router.post(
    "/tier",
    operation_id="admin.accounts.set_tier",
    summary="Move an account to a tier (admins)",
    responses=problem_responses(*_CHANGING, "account_of_system"),
)
async def set_tier(
    account_id: AccountId,
    wanted: TierIn,
    actor: Annotated[Actor, Depends(may(Action.SET_TIER))],
    remit: Remit,
    answers: KeptAnswers,
) -> AccountFileOut:
    """A new account has tier 1."""
    keep = answers.keep(AccountFileOut.of)
    return AccountFileOut.of(await remit.operators.set_tier(actor, account_id, wanted.tier, wanted.reason, keep))


@router.post(
    "/rebuild",
    operation_id="admin.accounts.rebuild",
    summary="Rebuild an account from its entries (admins)",
    response_model=AccountFileOut,
    responses=_REBUILD_GOES_ON
    | problem_responses(*_CHANGING, "entries_broken", "more_held_than_balance", "entries_not_read", "account_busy"),
)
async def rebuild(
    account_id: AccountId,
    wanted: ReasonIn,
    actor: Annotated[Actor, Depends(may(Action.REBUILD_ACCOUNT))],
    remit: Remit,
    answers: KeptAnswers,
) -> AccountFileOut | Response:
    """Computes balance, version and head hash from the entries, if the entries are exactly as they were written.

    If an entry was edited, removed or added without the ledger, nothing changes and the answer names it: restore the
    entries from a backup first. Nothing changes either while disputes hold more than the balance that would result.
    A workflow does it. If that takes longer than 20 s, the answer is 202 with the `Location` of the rebuild.
    """
    requested = await remit.rebuilds.request(actor, account_id, wanted.reason)
    await remit.temporal.start_rebuild(requested.id, account_id)
    if await completed_rebuild(remit.rebuilds, requested.id) is None:
        accepted, headers = RebuildSummaryOut.of(requested), {"Location": location_of(requested)}
        return Response(accepted.model_dump_json(), status.HTTP_202_ACCEPTED, headers, "application/json")
    return AccountFileOut.of(await remit.rebuilds.keep_account(account_id, answers.keep(AccountFileOut.of)))


async def _any_account(account_id: AccountId, remit: Services) -> Account:
    found = await remit.account_reads.find(account_id)
    if found is None:
        raise NoSuchAccount(account_id)
    return found
