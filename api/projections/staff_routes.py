"""Sinks and projections, for staff: how far they are, and rebuilds."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response, status

from api.http.problems import problem_responses
from api.http.repeats import KEYED, KeptAnswers
from api.http.route import CheckedRoute
from api.projections.models import (
    ProjectedStatisticsOut,
    ProjectionOut,
    ProjectionRebuildOut,
    ProjectionsOut,
    RetiredSinkOut,
    SinkOut,
    SinksOut,
)
from api.services import Remit
from api.staff.authorization import ACTING, READING, Staff, may
from api.staff.models import ReasonIn
from ledger.ids import AccountId
from projections.projection import ProjectionRebuild, ProjectionStanding
from staff.account_actions import NoSuchAccount
from staff.permissions import Action, Actor

router = APIRouter(prefix="/v1/admin", tags=["admin"], route_class=CheckedRoute)


@router.get(
    "/sinks",
    operation_id="admin.sinks.list",
    summary="List the sinks of events",
    responses=problem_responses(*READING),
)
async def sinks(_: Staff, remit: Remit) -> SinksOut:
    """By name, with how far each is behind the events: those of Remit, and whatever else was ever run.

    One that is `off` and whose `position` is behind keeps old events from being dropped: retire it.
    """
    found = await remit.sink_reads.all_of(remit.known_sinks)
    return SinksOut(items=[SinkOut.of(each, remit.configured_sinks) for each in found])


@router.post(
    "/sinks/{name}/retire",
    operation_id="admin.sinks.retire",
    summary="Forget a sink that nobody runs any more (admins)",
    responses=problem_responses(*ACTING, *KEYED, "sink_not_found", "sink_in_use"),
)
async def retire(
    name: str,
    wanted: ReasonIn,
    actor: Annotated[Actor, Depends(may(Action.RETIRE_SINK))],
    remit: Remit,
    answers: KeptAnswers,
) -> RetiredSinkOut:
    """Its position is forgotten, so that it holds up no old events. If it is run again, it begins as a new one.

    Refused while the settings of the API name it, or a worker runs it.
    """

    def shown(position: int) -> RetiredSinkOut:
        return RetiredSinkOut(name=name, position=position)

    return shown(await remit.sink_retirements.retire(actor, name, wanted.reason, answers.keep(shown)))


@router.get(
    "/projections",
    operation_id="admin.projections.list",
    summary="List the projections",
    responses=problem_responses(*READING),
)
async def projections(_: Staff, remit: Remit) -> ProjectionsOut:
    """By name, with how far each is behind the events, and its newest rebuild."""
    return ProjectionsOut(items=[await _shown(each, remit) for each in await remit.projection_reads.all()])


@router.get(
    "/projections/{name}",
    operation_id="admin.projections.get",
    summary="Get a projection",
    responses=problem_responses(*READING, "projection_not_found"),
)
async def projection(name: str, _: Staff, remit: Remit) -> ProjectionOut:
    """How far it is, and how far its newest rebuild has come."""
    return await _shown(await remit.projection_reads.find(name), remit)


@router.post(
    "/projections/{name}/rebuild",
    operation_id="admin.projections.rebuild",
    summary="Rebuild a projection from the first event on (admins)",
    status_code=status.HTTP_202_ACCEPTED,
    responses=problem_responses(*ACTING, *KEYED, "projection_not_found", "projection_rebuild_running"),
)
async def rebuild(
    name: str,
    wanted: ReasonIn,
    actor: Annotated[Actor, Depends(may(Action.REBUILD_PROJECTION))],
    remit: Remit,
    answers: KeptAnswers,
    response: Response,
) -> ProjectionRebuildOut:
    """Workers fill new rows beside those that are shown, and show them once they have come as far.

    Nobody sees a part of them. What is older than the events that are kept comes from the books.
    """
    keep = answers.keep(ProjectionRebuildOut.of, status.HTTP_202_ACCEPTED, _location_of)
    requested = await remit.projection_rebuilds.request(actor, name, wanted.reason, keep)
    response.headers["Location"] = _location_of(requested)
    return ProjectionRebuildOut.of(requested)


@router.get(
    "/accounts/{account_id}/stats",
    operation_id="admin.accounts.stats",
    summary="Read any account's projected statistics",
    responses=problem_responses(*READING, "account_not_found"),
)
async def stats(account_id: AccountId, _: Staff, remit: Remit) -> ProjectedStatisticsOut:
    """As of `position`. `GET /v1/accounts/{id}/stats` adds the same up from the entries, for the owner."""
    account = await remit.account_reads.find(account_id)
    if account is None:
        raise NoSuchAccount(account_id)
    return ProjectedStatisticsOut.projected(account, await remit.projection_reads.stats(account_id))


async def _shown(found: ProjectionStanding, remit: Remit) -> ProjectionOut:
    sinks_by_name = {sink.name: sink for sink in await remit.sink_reads.all()}
    rebuilt = await remit.projection_rebuilds.last(found.name)
    return ProjectionOut.of(found, sinks_by_name.get(found.name), rebuilt, remit.configured_sinks)


def _location_of(requested: ProjectionRebuild) -> str:
    return f"{router.prefix}/projections/{requested.projection}"
