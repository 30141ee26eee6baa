"""Dead letters for staff: what did not arrive, and sending it again or giving it up."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime

from api.dead_letters.models import (
    DeadLetterOut,
    DeadLettersOut,
    DeadLetterSummaryOut,
    LetterSource,
    LetterTarget,
    ReplayIn,
    ReplayOut,
)
from api.http.fields import Cursor, PageSize
from api.http.paging import next_cursor
from api.http.problems import problem_responses
from api.http.repeats import KEYED, KeptAnswers
from api.http.route import CheckedRoute
from api.services import Remit
from api.staff.authorization import ACTING, READING, Staff, may
from api.staff.models import ReasonIn
from events.dead_letter import LetterState
from events.postgres.dead_letters import LetterSearch
from ledger.ids import DeadLetterId
from staff.permissions import Action, Actor

router = APIRouter(prefix="/v1/admin/dead-letters", tags=["admin"], route_class=CheckedRoute)

_LIST = "dead letters"


@router.get(
    "",
    operation_id="admin.dead_letters.list",
    summary="Find dead letters",
    responses=problem_responses(*READING, "cursor_invalid", "validation_failed"),
)
async def dead_letters(
    reader: Staff,
    remit: Remit,
    state: Annotated[LetterState | None, Query()] = None,
    source: Annotated[LetterSource | None, Query()] = None,
    target: Annotated[LetterTarget | None, Query()] = None,
    since: Annotated[AwareDatetime | None, Query()] = None,
    limit: PageSize = 20,
    cursor: Cursor = None,
) -> DeadLettersOut:
    """Newest first, without their bodies."""
    before = remit.cursors.read_place(_LIST, cursor)
    wanted = LetterSearch(state=state, source=source, target=target, since=since, before=before, hidden_from=reader.id)
    page = await remit.dead_letters.find_all(wanted, limit)
    return DeadLettersOut(
        items=[DeadLetterSummaryOut.summary_of(letter) for letter in page.items],
        next_cursor=next_cursor(page, lambda last: remit.cursors.sign_place(_LIST, last.died_at, last.id)),
    )


# Before the route of one letter, which would take `replay` for its id.
@router.post(
    "/replay",
    operation_id="admin.dead_letters.replay_all",
    summary="Send dead letters again",
    responses=problem_responses(*ACTING, *KEYED),
)
async def replay_all(
    wanted: ReplayIn,
    actor: Annotated[Actor, Depends(may(Action.REPLAY_DEAD_LETTERS))],
    remit: Remit,
    answers: KeptAnswers,
) -> ReplayOut:
    """Each goes to where it died and nowhere else, with its event's id: a receiver that has it leaves it out.

    At most 500 at once.
    """
    search = LetterSearch(source=wanted.source, target=wanted.target, type=wanted.type, since=wanted.since)
    outcome = await remit.dead_letter_acts.replay_all(actor, search, wanted.reason, answers.keep(ReplayOut.of))
    return ReplayOut.of(outcome)


@router.get(
    "/{letter_id}",
    operation_id="admin.dead_letters.get",
    summary="Get a dead letter with its body",
    responses=problem_responses(*READING, "dead_letter_not_found"),
)
async def dead_letter(letter_id: DeadLetterId, reader: Staff, remit: Remit) -> DeadLetterOut:
    """The body is what would have arrived."""
    return DeadLetterOut.of(await remit.dead_letters.find(letter_id, reader.id))


@router.post(
    "/{letter_id}/replay",
    operation_id="admin.dead_letters.replay",
    summary="Send a dead letter again",
    responses=problem_responses(
        *ACTING, *KEYED, "dead_letter_not_found", "dead_letter_ended", "dead_letter_unsendable"
    ),
)
async def replay(
    letter_id: DeadLetterId,
    wanted: ReasonIn,
    actor: Annotated[Actor, Depends(may(Action.REPLAY_DEAD_LETTERS))],
    remit: Remit,
    answers: KeptAnswers,
) -> DeadLetterOut:
    """To where it died and nowhere else, with its event's id. What dies again is another letter."""
    keep = answers.keep(DeadLetterOut.of)
    return DeadLetterOut.of(await remit.dead_letter_acts.replay(actor, letter_id, wanted.reason, keep))


@router.post(
    "/{letter_id}/discard",
    operation_id="admin.dead_letters.discard",
    summary="Give a dead letter up",
    responses=problem_responses(*ACTING, *KEYED, "dead_letter_not_found", "dead_letter_ended"),
)
async def discard(
    letter_id: DeadLetterId,
    wanted: ReasonIn,
    actor: Annotated[Actor, Depends(may(Action.DISCARD_DEAD_LETTER))],
    remit: Remit,
    answers: KeptAnswers,
) -> DeadLetterOut:
    """For good, with the reason. The letter stays, and says so."""
    keep = answers.keep(DeadLetterOut.of)
    return DeadLetterOut.of(await remit.dead_letter_acts.discard(actor, letter_id, wanted.reason, keep))
