"""The rules in force, the lists that they look at, and verdicts, for staff."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Response, status

from api.http.fields import Cursor, PageSize
from api.http.paging import next_cursor
from api.http.problems import FieldError, Problem, problem_responses
from api.http.repeats import KEYED, KeptAnswers
from api.http.route import CheckedRoute
from api.screening.rule_models import (
    ListMemberIn,
    ListMemberOut,
    ListMembersOut,
    ListName,
    ListSizeOut,
    ListSizesOut,
    MemberId,
    RuleSetChangeOut,
    RuleSetChangesOut,
    RuleSetOut,
    RulesIn,
    RulesNowOut,
    VerdictsOut,
)
from api.services import Remit
from api.staff.authorization import ACTING, READING, Staff, may
from api.staff.models import ReasonIn
from ledger.ids import RuleSetId, TransferId
from screening.postgres.rule_sets import RulesNow
from screening.postgres.rules_in_force import LEASE_MILLISECONDS
from screening.rule_sets import RulesInvalid, rule_set_in
from staff.permissions import Action, Actor

router = APIRouter(prefix="/v1/admin", tags=["admin"], route_class=CheckedRoute)

_WAITS: dict[int | str, dict[str, Any]] = {
    202: {"model": RulesNowOut, "description": "The rules wait for another admin, and those in force stay"}
}


@router.get(
    "/rules",
    operation_id="admin.rules.get",
    summary="Get the rules in force",
    responses=problem_responses(*READING),
)
async def rules_now(_: Staff, remit: Remit) -> RulesNowOut:
    """By what transfers are screened, and who changed it last."""
    return RulesNowOut.of(await remit.rule_sets.now())


@router.post(
    "/rules",
    operation_id="admin.rules.set",
    summary="Change the rules (two admins)",
    responses=_WAITS | problem_responses(*ACTING, *KEYED, "rules_from_file", "role_too_young"),
)
async def set_rules(
    wanted: RulesIn,
    actor: Annotated[Actor, Depends(may(Action.SET_RULES))],
    remit: Remit,
    answers: KeptAnswers,
    response: Response,
) -> RulesNowOut:
    """The first admin is answered 202, and nothing changes. When another one sends the same rules, they are in force.

    From the answer on, every transfer that comes is screened by them. `remit rules dry-run` shows before what they
    would have done.
    """
    try:
        rule_set = rule_set_in(wanted.rules) if wanted.rules is not None else None
    except RulesInvalid as invalid:
        errors = [FieldError(field="body.rules", message=error) for error in invalid.errors[:20]]
        raise Problem("validation_failed", f"body.rules: {invalid}.", errors=errors) from invalid
    keep = answers.keep(RulesNowOut.of, _status_of)
    now = await remit.rule_sets.put_in_force(actor, rule_set, wanted.reason, keep)
    response.status_code = _status_of(now)
    await _in_force_everywhere()
    return RulesNowOut.of(now)


@router.get(
    "/rules/changes",
    operation_id="admin.rules.changes",
    summary="Read the changes of the rules",
    responses=problem_responses(*READING, "cursor_invalid", "validation_failed"),
)
async def changes(_: Staff, remit: Remit, limit: PageSize = 20, cursor: Cursor = None) -> RuleSetChangesOut:
    """Newest first, with the rules of each."""
    before = int(remit.cursors.read("rules", cursor)[0]) if cursor is not None else None
    page = await remit.rule_sets.changes(before, limit)
    return RuleSetChangesOut(
        items=[RuleSetChangeOut.model_validate(each, from_attributes=True) for each in page.items],
        next_cursor=next_cursor(page, lambda last: remit.cursors.sign("rules", last.number)),
    )


@router.get(
    "/rule-sets/{rule_set_id}",
    operation_id="admin.rule_sets.get",
    summary="Get the rules by their id",
    responses=problem_responses(*READING, "rule_set_not_found"),
)
async def rule_set(rule_set_id: RuleSetId, _: Staff, remit: Remit) -> RuleSetOut:
    """Any that was ever in use: a verdict names them by this id."""
    found = await remit.rule_sets.rules_of(rule_set_id)
    if found is None:
        raise Problem("rule_set_not_found")
    return RuleSetOut(rule_set_id=rule_set_id, rules=found)


@router.get(
    "/transfers/{transfer_id}/verdicts",
    operation_id="admin.transfers.verdicts",
    summary="Read what screening said about a transfer",
    responses=problem_responses(*READING, "transfer_not_found"),
)
async def verdicts(transfer_id: TransferId, reader: Staff, remit: Remit) -> VerdictsOut:
    """A plain allow leaves only `screened_by`. Nobody reads this of a transfer from or to an account of their own."""
    found = await remit.verdict_reads.about(reader.id, transfer_id)
    if found is None:
        raise Problem("transfer_not_found", f"There is no transfer {transfer_id}, or you are a party of it.")
    return VerdictsOut.model_validate(found, from_attributes=True)


@router.get(
    "/lists",
    operation_id="admin.lists.list",
    summary="List the lists that rules may look at",
    responses=problem_responses(*READING),
)
async def lists(_: Staff, remit: Remit) -> ListSizesOut:
    """Those that have members, by name."""
    return ListSizesOut(
        items=[ListSizeOut.model_validate(each, from_attributes=True) for each in await remit.member_lists.sizes()]
    )


@router.get(
    "/lists/{list_name}/members",
    operation_id="admin.lists.members",
    summary="Read a list",
    responses=problem_responses(*READING, "cursor_invalid", "validation_failed"),
)
async def members(
    list_name: Annotated[ListName, Path()], _: Staff, remit: Remit, limit: PageSize = 20, cursor: Cursor = None
) -> ListMembersOut:
    """Newest first."""
    of_list = f"list {list_name}"
    page = await remit.member_lists.members(list_name, remit.cursors.read_place(of_list, cursor), limit)
    return ListMembersOut(
        items=[ListMemberOut.of(member) for member in page.items],
        next_cursor=next_cursor(page, lambda last: remit.cursors.sign_place(of_list, last.added_at, last.member_id)),
    )


@router.post(
    "/lists/{list_name}/members",
    operation_id="admin.lists.add",
    summary="Put an account or a customer on a list",
    responses=problem_responses(*ACTING, *KEYED, "account_not_found", "customer_not_found", "lists_full"),
)
async def add(
    list_name: Annotated[ListName, Path()],
    wanted: ListMemberIn,
    actor: Annotated[Actor, Depends(may(Action.ADD_TO_LIST))],
    remit: Remit,
    answers: KeptAnswers,
) -> ListMemberOut:
    """A customer stands for all their accounts, also those that they open later.

    From the answer on, every transfer that comes is screened by it. By default, payments to members of `blocked` are
    declined.
    """
    keep = answers.keep(ListMemberOut.of)
    member = await remit.member_lists.add(actor, list_name, wanted.member_id, wanted.reason, keep)
    await _in_force_everywhere()
    return ListMemberOut.of(member)


@router.post(
    "/lists/{list_name}/members/{member_id}/remove",
    operation_id="admin.lists.remove",
    summary="Take a member off a list",
    responses=problem_responses(*ACTING, *KEYED, "account_not_found", "customer_not_found", "member_not_found"),
)
async def remove(
    list_name: Annotated[ListName, Path()],
    member_id: Annotated[MemberId, Path()],
    wanted: ReasonIn,
    actor: Annotated[Actor, Depends(may(Action.REMOVE_FROM_LIST))],
    remit: Remit,
    answers: KeptAnswers,
) -> ListMemberOut:
    """The answer is the member as it was. From then on, every transfer that comes is screened without it."""
    keep = answers.keep(ListMemberOut.of)
    member = await remit.member_lists.remove(actor, list_name, member_id, wanted.reason, keep)
    await _in_force_everywhere()
    return ListMemberOut.of(member)


def _status_of(now: RulesNow) -> int:
    return status.HTTP_202_ACCEPTED if now.waits else status.HTTP_200_OK


async def _in_force_everywhere() -> None:
    """Wait until no process screens by what was before the change that has just been committed."""
    await asyncio.sleep(LEASE_MILLISECONDS / 1_000)
