"""The record of staff's actions: every read and write of it.

`staff_actions` holds what was done or requested, `staff_action_outcomes` how a request ended. Both are append-only.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, and_, bindparam, case, exists, func, not_, or_, select

from database.connections import Database
from database.paging import ALL_TIME, Page, Place, Span, fetch_page, newest_first
from database.rows import dataclass_of
from database.statements import Row, fetch, fetch_first, fetch_only
from ledger.ids import ActionId, CustomerId, new_action_id
from ledger.postgres.reversals import hidden_from
from ledger.postgres.tables import accounts, transfers
from ledger.transfers import Transfer, TransferOrder
from staff.actions import SENT_AS, UPDATE_ANSWERS, NotTaken, Outcome, RequestReused, StaffAction, Taken, update_id_for
from staff.permissions import Action, Actor, Channel, Role, check_allowed
from staff.postgres.people import check_no_party, staff_named
from staff.postgres.tables import staff_action_outcomes, staff_actions
from staff.update_input import StaffRequest

if TYPE_CHECKING:
    from database.connections import Connection

State = Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class ActionSearch:
    """Which actions a list holds; `before` is the place of the last one of the page before.

    `hidden_from` leaves out what others did to reverse what this person was paid.
    """

    actor_id: CustomerId | None = None
    subject: str | None = None
    before: Place | None = None
    hidden_from: CustomerId | None = None
    within: Span = ALL_TIME


_OUTCOMES = staff_action_outcomes.c
_ACTIONS = staff_actions.c

# An action without `request` committed together with its record.
_SELECT = select(
    *(_ACTIONS[name] for name in ("id", "actor_id", "actor_role", "action", "channel", "subject", "reason")),
    *(_ACTIONS[name] for name in ("asked", "before", "recorded_at")),
    func.coalesce(_OUTCOMES.after, _ACTIONS.after).label("after"),
    case((_ACTIONS.request.is_(None), Outcome.TAKEN), else_=func.coalesce(_OUTCOMES.outcome, Outcome.UNKNOWN)).label(
        "outcome"
    ),
    _OUTCOMES.code,
    _OUTCOMES.answer,
    _OUTCOMES.recorded_at.label("concluded_at"),
).select_from(staff_actions.outerjoin(staff_action_outcomes))

_FIND = _SELECT.where(_ACTIONS.id == bindparam("action_id"))

_ABOUT = _SELECT.where(_ACTIONS.subject == bindparam("about")).order_by(_ACTIONS.recorded_at, _ACTIONS.id)

_FIND_REQUEST = (
    _SELECT.where(_ACTIONS.actor_id == bindparam("actor"), _ACTIONS.request == bindparam("wanted"))
    .order_by(_ACTIONS.recorded_at.desc())
    .limit(1)
)

_RECORD = """
    INSERT INTO staff_actions
        (id, actor_id, actor_role, action, channel, reason, asked, request, subject, before, after)
    SELECT made.id, $4, $5, $6, $7, $8, $9::jsonb, $10, made.subject, made.before, made.after
    FROM unnest($1::text[], $2::text[], $3::jsonb[], $11::jsonb[]) AS made (id, subject, before, after)
"""

_CONCLUDE = """
    INSERT INTO staff_action_outcomes (action_id, outcome, code, answer, after) VALUES ($1, $2, $3, $4, $5::jsonb)
    ON CONFLICT DO NOTHING
"""

# Requests of one person come one after the other: of two equal ones, the second finds the first.
_LOCK_ROLE = "SELECT role FROM customers WHERE id = $1 FOR NO KEY UPDATE"

_STANDING = "SELECT jsonb_build_object('state', state, 'attempt', attempt) FROM transfers WHERE id = $1"


@dataclass(frozen=True, slots=True)
class Subject:
    """What an action is about, and what it changes of it."""

    id: str
    before: State = None
    after: State = None


async def record_action(
    connection: "Connection",
    actor: Actor,
    action: Action,
    subject: str,
    reason: str,
    before: State,
    after: State,
    asked: State = None,
    channel: Channel = Channel.API,
) -> ActionId:
    """Record an action inside the transaction that does it, so that both commit or neither.

    `subject` is the id of the account, transfer, customer or dispute; `before` and `after` are what the action
    changes of it, as JSON, read under its row lock, and `asked` what exactly was requested. The actor must be a
    customer, and the reason must not be empty.
    """
    subjects = [Subject(subject, before, after)]
    (action_id,) = await record_actions(connection, actor, action, subjects, reason, asked, channel)
    return action_id


async def record_actions(
    connection: "Connection",
    actor: Actor,
    action: Action,
    subjects: Sequence[Subject],
    reason: str,
    asked: State = None,
    channel: Channel = Channel.API,
    request: str | None = None,
) -> list[ActionId]:
    """The same for one action about several subjects: one record each, in their order.

    With a `request`, which identifies repeats, the actions are only requested: their outcome is unknown.
    """
    ids = [new_action_id() for _ in subjects]
    await connection.execute(
        _RECORD,
        ids,
        [subject.id for subject in subjects],
        [_json(subject.before) for subject in subjects],
        actor.id,
        actor.role,
        action,
        channel,
        reason,
        _json(asked),
        request,
        [_json(subject.after) for subject in subjects],
    )
    return ids


async def actions_about(connection: "Connection", reader_id: CustomerId, subject: str) -> list[StaffAction]:
    """The actions about this subject that the reader may see, oldest first."""
    shown = _ABOUT.where(not_(_is_hidden_from(reader_id)))
    return [_action_of(row) for row in await fetch(connection, shown, about=subject)]


def _is_hidden_from(reader_id: CustomerId) -> ColumnElement[bool]:
    about = transfers.alias("about")
    own = select(accounts.c.id).where(accounts.c.owner_id == reader_id)
    reverses = and_(_ACTIONS.action == Action.REVERSE_TRANSFER, about.c.destination_account_id.in_(own))
    return and_(
        _ACTIONS.actor_id != reader_id,
        exists().where(about.c.id == _ACTIONS.subject, or_(reverses, hidden_from(reader_id, about))),
    )


class StaffActions:
    """All raise `Unavailable` if PostgreSQL gave no answer: in doubt, repeat the call."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, wanted: ActionSearch, limit: int) -> Page[StaffAction]:
        """Staff's actions, newest first."""
        statement = newest_first(
            _SELECT, _ACTIONS.recorded_at, _ACTIONS.id, behind=wanted.before is not None, within=wanted.within
        )
        if wanted.actor_id is not None:
            statement = statement.where(_ACTIONS.actor_id == wanted.actor_id)
        if wanted.subject is not None:
            statement = statement.where(_ACTIONS.subject == wanted.subject)
        if wanted.hidden_from is not None:
            statement = statement.where(not_(_is_hidden_from(wanted.hidden_from)))
        async with self._database.connection() as connection:
            return await fetch_page(connection, statement, limit, _action_of, wanted.before)

    async def check_no_party(self, actor: Actor, action: Action, transfer: Transfer) -> None:
        """Raises `ConflictOfInterest` for a party of the transfer. `request` checks it once more."""
        async with self._database.connection() as connection:
            await check_no_party(connection, actor.id, action, [transfer])

    async def request(
        self, actor: Actor, action: Action, transfer: Transfer, reason: str, key: str | None = None
    ) -> StaffAction:
        """Record what somebody requests of a transfer, before it is sent: who, what, why, and the transfer's state.

        The same person's request with the same `key` finds the first one, with its outcome; one that was refused is
        recorded anew. Raises `RequestReused` if the key names another request, `NotAllowed` if the actor's role was
        taken meanwhile, and `ConflictOfInterest` for a party of the transfer; then nothing is recorded.
        """
        async with self._database.transaction() as connection:
            role = await connection.fetchval(_LOCK_ROLE, actor.id)
            check_allowed(Actor(actor.id, Role(role)), action)
            await check_no_party(connection, actor.id, action, [transfer])
            if key is not None and (
                row := await fetch_first(connection, _FIND_REQUEST, actor=actor.id, wanted=f"key/{key}")
            ):
                known = _action_of(row)
                if known.outcome is not Outcome.REFUSED:
                    if (known.action, known.subject, known.reason) != (action, transfer.id, reason):
                        raise RequestReused
                    return known
            before = {"state": transfer.state, "attempt": transfer.attempt}
            request = f"key/{key}" if key else "no key"
            (action_id,) = await record_actions(
                connection, actor, action, [Subject(transfer.id, before)], reason, request=request
            )
            return _action_of(await fetch_only(connection, _FIND, action_id=action_id))

    async def answer_to(self, action_id: ActionId) -> str | None:
        """The answer to a request that was taken; None: it was refused, or has no outcome yet."""
        async with self._database.connection() as connection:
            action = _action_of(await fetch_only(connection, _FIND, action_id=action_id))
        return action.answer if action.outcome is Outcome.TAKEN else None

    async def conclude(self, action_id: ActionId, outcome: Taken | NotTaken) -> None:
        """Record the outcome of a request. The first outcome stays; a repeat changes nothing."""
        async with self._database.connection() as connection:
            await conclude_action(connection, action_id, outcome)

    async def take(self, order: TransferOrder, action: Action, request: StaffRequest, update_id: str) -> None:
        """Record, for the transfer's workflow, that it accepts a request. It acts only after that.

        A request of the API is recorded already: it is concluded as taken, unless the API has to wait for its effect
        (cancelling). What was typed in Temporal is recorded here, as taken. Once for each `update_id`; also before the
        transfer has a row. Refuses with `NotStaff`, and with `ConflictOfInterest` a party of the transfer.
        """
        async with self._database.transaction() as connection:
            actor = await staff_named(connection, request.actor)
            await check_no_party(connection, actor.id, action, [order])
            standing = _json_in(await connection.fetchval(_STANDING, order.transfer_id))
            taken = Taken(UPDATE_ANSWERS[action], standing)
            sent = await self._sent(connection, order, actor, action, request, update_id)
            if sent is not None:
                if sent.action is action:
                    await conclude_action(connection, sent.id, taken)
                return
            typed = f"temporal/{order.transfer_id}/{order.attempt}/{update_id}"
            if await fetch_first(connection, _FIND_REQUEST, actor=actor.id, wanted=typed):
                return
            subjects = [Subject(order.transfer_id, standing)]
            (action_id,) = await record_actions(
                connection, actor, action, subjects, request.reason, channel=Channel.TEMPORAL, request=typed
            )
            await conclude_action(connection, action_id, taken)

    @staticmethod
    async def _sent(
        connection: "Connection",
        order: TransferOrder,
        actor: Actor,
        action: Action,
        request: StaffRequest,
        update_id: str,
    ) -> StaffAction | None:
        """The action of the API that sent this update. None: somebody typed it in Temporal.

        Whoever writes to Temporal can name any action. It counts only if this person requested this very thing of this
        transfer, and it has no outcome yet, or this same update gave it its outcome.
        """
        if request.action_id is None:
            return None
        row = await fetch_first(connection, _FIND, action_id=request.action_id)
        named = _action_of(row) if row else None
        if named is None or (named.channel, named.actor_id, named.subject) != (
            Channel.API,
            actor.id,
            order.transfer_id,
        ):
            return None
        is_repeat = named.outcome is Outcome.TAKEN and update_id == update_id_for(action, named.id)
        is_open = named.outcome is Outcome.UNKNOWN
        return named if named.action in SENT_AS[action] and (is_open or is_repeat) else None


async def conclude_action(connection: "Connection", action_id: ActionId, outcome: Taken | NotTaken) -> None:
    """Record the outcome of a request inside the transaction that brings it about. The first outcome stays."""
    refused = outcome if isinstance(outcome, NotTaken) else None
    after = outcome.after if isinstance(outcome, Taken) else None
    name = Outcome.REFUSED if refused else Outcome.TAKEN
    await connection.execute(
        _CONCLUDE, action_id, name, refused.code if refused else None, outcome.answer, _json(after)
    )


def _action_of(row: Row) -> StaffAction:
    return dataclass_of(StaffAction, row)


def _json(state: State) -> str | None:
    return None if state is None else json.dumps(dict(state))


def _json_in(text: str | None) -> Any:
    return None if text is None else json.loads(text)
