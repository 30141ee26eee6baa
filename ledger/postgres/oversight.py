"""Reads over all customers, for staff. Nothing here locks or writes, and nothing here asks whose it is."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from ledger.accounts import Account
from ledger.ids import AccountId, ActionId, CustomerId, PostingId, TransferId
from ledger.operators import Action, Channel, Role
from ledger.postgres.audit import Totals, totals
from ledger.postgres.customers import CUSTOMER_COLUMNS, Customer, customer_of
from ledger.postgres.database import Database
from ledger.postgres.rows import ACCOUNT_COLUMNS, TRANSFER_COLUMNS, Row, account_of, transfer_of
from ledger.postgres.statements import attempts_before
from ledger.transfers import Attempt, Kind, Leg, State, Transfer


@dataclass(frozen=True, slots=True)
class Flagged:
    """The transfers that Temporal marks as needing attention, by the workflows that drive them.

    `workflow_ids` are of attempts, `recovered` the transfers that recovery drives on. A list holds those of them that
    are not final, or with `wanted` false all but those: what the ledger knows to have ended needs nobody any more.
    """

    workflow_ids: list[str]
    recovered: list[TransferId]
    wanted: bool = True


@dataclass(frozen=True, slots=True)
class TransferSearch:
    """Which transfers a list holds; what is None does not matter.

    `unmoved_for` keeps those that are not final and have not moved for that long. `before` is the creation time and id
    of the last one seen.
    """

    state: State | None = None
    kind: Kind | None = None
    account_id: AccountId | None = None
    owner_id: CustomerId | None = None
    currency: str | None = None
    least_minor: int | None = None
    most_minor: int | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    unmoved_for: timedelta | None = None
    flagged: Flagged | None = None
    before: tuple[datetime, str] | None = None


@dataclass(frozen=True, slots=True)
class PostingFact:
    """One posting of a transfer, both sides named."""

    id: PostingId
    attempt: int
    leg: Leg
    debit_account_id: AccountId
    credit_account_id: AccountId
    amount_minor: int
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class EntryFact:
    """What a posting did to one account. `amount_minor` is signed."""

    account_id: AccountId
    version: int
    attempt: int
    leg: Leg
    amount_minor: int
    balance_before: int
    balance_after: int
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class Message:
    """What the owner of an account was told about a transfer: of how an attempt `ended`, or of a dispute's course."""

    customer_id: CustomerId
    account_id: AccountId
    attempt: int
    occasion: str
    body: str
    created_at: datetime


class Outcome(StrEnum):
    """What came of an action. `unknown`: it was recorded and sent, and nobody knows whether it was taken."""

    TAKEN = "taken"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Recorded:
    """An action of staff, as it was recorded; `answer` and `concluded_at` where it steered a transfer."""

    id: ActionId
    actor_id: CustomerId
    actor_role: Role
    action: Action
    subject: str
    reason: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    recorded_at: datetime
    asked: dict[str, Any] | None = None
    outcome: Outcome = Outcome.TAKEN
    answer: str | None = None
    concluded_at: datetime | None = None

    @property
    def channel(self) -> Channel:
        """Where they acted. Only what is decided about a dispute is recorded as an action when it comes by Temporal."""
        return Channel((self.asked or {}).get("channel", Channel.API))


@dataclass(frozen=True, slots=True)
class Intervention:
    """What a person did about a transfer, by whatever channel.

    `by` is their id. `action_id` is the record of an action by the API; what was typed in Temporal has none.
    """

    at: datetime
    channel: Channel
    by: str
    action: Action
    reason: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    outcome: Outcome
    action_id: ActionId | None


@dataclass(frozen=True, slots=True)
class ActionSearch:
    """Which actions a list holds; `before` is the time and id of the last one seen."""

    actor_id: CustomerId | None = None
    subject: str | None = None
    before: tuple[datetime, str] | None = None


@dataclass(frozen=True, slots=True)
class TransferFile:
    """All that is known of a transfer, in one snapshot. Each list is oldest first."""

    transfer: Transfer
    attempts: list[Attempt]
    postings: list[PostingFact]
    entries: list[EntryFact]
    messages: list[Message]
    actions: list[Recorded]
    interventions: list[Intervention]


@dataclass(frozen=True, slots=True)
class Waiting:
    """The transfers in a state that is not final: how many, and for how long the one that waits longest has."""

    state: State
    transfers: int
    longest_seconds: int


@dataclass(frozen=True, slots=True)
class InTransit:
    """What is between debit and credit in one currency."""

    currency: str
    transfers: int
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Stats:
    """How the service does, in one snapshot. Counts are of transfers created in the last hour and the last day."""

    last_hour: dict[State, int]
    last_day: dict[State, int]
    waiting: list[Waiting]
    oldest_not_final: Transfer | None
    in_transit: list[InTransit]


# A prefix is a range: everything from the prefix to the prefix followed by the last character there is. Unlike LIKE,
# it needs no escapes, and the index serves it whatever the prefix is.
_CUSTOMERS = f"""
    SELECT {CUSTOMER_COLUMNS} FROM customers
    WHERE email ~>=~ $1 AND email ~<=~ ($1 || chr(1114111)) AND email ~>~ $2
    ORDER BY email USING ~<~ LIMIT $3
"""

_CUSTOMER = f"SELECT {CUSTOMER_COLUMNS} FROM customers WHERE id = $1"
_ACCOUNT = f"SELECT {ACCOUNT_COLUMNS} FROM accounts a WHERE a.id = $1"
_TRANSFER = f"SELECT {TRANSFER_COLUMNS} FROM transfers t WHERE t.id = $1"

_NOT_FINAL = "t.state IN ('initiated', 'in_review', 'debited')"

_FLAGGED = f"({_NOT_FINAL} AND (t.workflow_id = ANY ({{}}::text[]) OR t.id = ANY ({{}}::text[]))) = {{}}::boolean"

_POSTINGS = """
    SELECT id, attempt, leg, debit_account_id, credit_account_id, amount_minor, recorded_at
    FROM postings WHERE transfer_id = $1 ORDER BY attempt, recorded_at, leg DESC
"""

_ENTRIES = """
    SELECT account_id, version, attempt, leg, amount_minor, balance_before, balance_after, recorded_at
    FROM entries WHERE transfer_id = $1 ORDER BY attempt, recorded_at, leg DESC
"""

_MESSAGES = """
    SELECT customer_id, account_id, attempt, occasion, body, created_at
    FROM messages WHERE transfer_id = $1 ORDER BY attempt, created_at, account_id
"""

# An intention without a conclusion was taken where the workflow wrote down that it was.
_ACTION_COLUMNS = """
    a.id, a.actor_id, a.actor_role, a.action, a.subject, a.reason, a.before, coalesce(o.after, a.after) AS after,
    a.recorded_at, a.asked, o.answer, o.recorded_at AS concluded_at,
    CASE
        WHEN a.request IS NULL THEN 'taken'
        WHEN o.outcome IS NOT NULL THEN o.outcome
        WHEN EXISTS (SELECT FROM review_decisions d WHERE d.action_id = a.id)
            OR EXISTS (SELECT FROM instructions i WHERE i.action_id = a.id) THEN 'taken'
        ELSE 'unknown'
    END AS outcome
"""

_ACTIONS = f"SELECT {_ACTION_COLUMNS} FROM operator_actions a LEFT JOIN action_outcomes o ON o.action_id = a.id"

_ACTIONS_ABOUT = f"{_ACTIONS} WHERE a.subject = $1 ORDER BY a.recorded_at, a.id"

# What was typed in Temporal, or decided by a batch: all that is not an action about this transfer itself.
_KEPT_BY_WORKFLOWS = """
    SELECT d.decided_at AS at, d.decider AS by, 'decide_review' AS action, d.reason, d.action_id,
        jsonb_build_object('attempt', d.attempt) AS before, jsonb_build_object('ruling', d.ruling) AS after
    FROM review_decisions d LEFT JOIN operator_actions a ON a.id = d.action_id
    WHERE d.transfer_id = $1 AND a.subject IS DISTINCT FROM $1
    UNION ALL
    SELECT i.recorded_at, i.actor, CASE i.action WHEN 'retry_now' THEN 'retry_step' ELSE i.action END, i.reason,
        i.action_id, jsonb_build_object('attempt', i.attempt, 'state', i.state), NULL
    FROM instructions i LEFT JOIN operator_actions a ON a.id = i.action_id
    WHERE i.transfer_id = $1 AND a.subject IS DISTINCT FROM $1
"""

_BY_STATE = """
    SELECT state, count(*) AS day, count(*) FILTER (WHERE created_at > clock_timestamp() - interval '1 hour') AS hour
    FROM transfers WHERE created_at > clock_timestamp() - interval '1 day' GROUP BY state
"""

_WAITING = f"""
    SELECT state, count(*) AS transfers,
        greatest(0, extract(epoch FROM clock_timestamp() - min(updated_at)))::bigint AS longest_seconds
    FROM transfers t WHERE {_NOT_FINAL} GROUP BY state ORDER BY state
"""

_OLDEST = f"SELECT {TRANSFER_COLUMNS} FROM transfers t WHERE {_NOT_FINAL} ORDER BY t.updated_at, t.id LIMIT 1"

_IN_TRANSIT = """
    SELECT currency, count(*) AS transfers, sum(amount_minor)::bigint AS amount_minor
    FROM transfers WHERE state = 'debited' GROUP BY currency ORDER BY currency
"""


class Oversight:
    """All raise `Unavailable` where PostgreSQL gave no answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def customers(self, email_prefix: str, after_email: str, limit: int) -> list[Customer]:
        """Customers whose address (lower case) begins with the prefix, in its order, behind `after_email`."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(_CUSTOMERS, email_prefix, after_email, limit)
        return [customer_of(row) for row in rows]

    async def customer(self, customer_id: CustomerId) -> Customer | None:
        """Anybody who may sign in."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(_CUSTOMER, customer_id)
        return customer_of(row) if row else None

    async def account(self, account_id: AccountId) -> Account | None:
        """Any customer's account."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(_ACCOUNT, account_id)
        return account_of(row) if row else None

    async def owners(self, account_ids: Sequence[AccountId]) -> set[CustomerId]:
        """Who owns these accounts."""
        async with self._database.connection() as connection:
            rows = await connection.fetch("SELECT DISTINCT owner_id FROM accounts WHERE id = ANY ($1)", account_ids)
        return {row["owner_id"] for row in rows}

    async def transfers(self, wanted: TransferSearch, limit: int) -> list[Transfer]:
        """Anybody's transfers, newest first."""
        flagged = wanted.flagged
        asked: list[tuple[str, Sequence[object | None]]] = [
            ("t.state = {}", [wanted.state]),
            ("t.kind = {}", [wanted.kind]),
            ("{} IN (t.source_account_id, t.destination_account_id)", [wanted.account_id]),
            ("t.owner_id = {}", [wanted.owner_id]),
            ("t.currency = {}", [wanted.currency]),
            ("t.amount_minor >= {}", [wanted.least_minor]),
            ("t.amount_minor <= {}", [wanted.most_minor]),
            ("t.created_at >= {}", [wanted.created_after]),
            ("t.created_at < {}", [wanted.created_before]),
            (f"{_NOT_FINAL} AND t.updated_at <= clock_timestamp() - {{}}::interval", [wanted.unmoved_for]),
            (_FLAGGED, [flagged.workflow_ids, flagged.recovered, flagged.wanted] if flagged else [None]),
            ("(t.created_at, t.id) < ({}, {})", wanted.before or [None]),
        ]
        where, values = _conditions(asked)
        query = f"""
            SELECT {TRANSFER_COLUMNS} FROM transfers t WHERE {where}
            ORDER BY t.created_at DESC, t.id DESC LIMIT ${len(values) + 1}
        """
        async with self._database.connection() as connection:
            return [transfer_of(row) for row in await connection.fetch(query, *values, limit)]

    async def transfer_file(self, transfer_id: TransferId) -> TransferFile | None:
        """A transfer with its attempts, postings, entries, messages, and the actions about it."""
        async with (
            self._database.connection() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            row = await connection.fetchrow(_TRANSFER, transfer_id)
            if row is None:
                return None
            actions = [_recorded(row) for row in await connection.fetch(_ACTIONS_ABOUT, transfer_id)]
            return TransferFile(
                transfer=transfer_of(row),
                attempts=[*await attempts_before(connection, transfer_id), transfer_of(row).current_attempt],
                postings=[PostingFact(**dict(row)) for row in await connection.fetch(_POSTINGS, transfer_id)],
                entries=[EntryFact(**dict(row)) for row in await connection.fetch(_ENTRIES, transfer_id)],
                messages=[Message(**dict(row)) for row in await connection.fetch(_MESSAGES, transfer_id)],
                actions=actions,
                interventions=_interventions(actions, await connection.fetch(_KEPT_BY_WORKFLOWS, transfer_id)),
            )

    async def actions(self, wanted: ActionSearch, limit: int) -> list[Recorded]:
        """The record of what staff did, newest first."""
        where, values = _conditions(
            [
                ("a.actor_id = {}", [wanted.actor_id]),
                ("a.subject = {}", [wanted.subject]),
                ("(a.recorded_at, a.id) < ({}, {})", wanted.before or [None]),
            ]
        )
        query = f"""
            {_ACTIONS} WHERE {where}
            ORDER BY a.recorded_at DESC, a.id DESC LIMIT ${len(values) + 1}
        """
        async with self._database.connection() as connection:
            return [_recorded(row) for row in await connection.fetch(query, *values, limit)]

    async def books(self) -> list[Totals]:
        """The totals per currency, in one snapshot. Reads every posting."""
        return await totals(self._database)

    async def waiting(self) -> list[Waiting]:
        """The transfers that are not final, by state; every such state is there."""
        async with self._database.connection() as connection:
            return _waiting(await connection.fetch(_WAITING))

    async def stats(self) -> Stats:
        """How many transfers ended how, what waits, and what is in transit."""
        async with (
            self._database.connection() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            by_state = await connection.fetch(_BY_STATE)
            waiting = await connection.fetch(_WAITING)
            oldest = await connection.fetchrow(_OLDEST)
            in_transit = await connection.fetch(_IN_TRANSIT)
        return Stats(
            last_hour=_counts(by_state, "hour"),
            last_day=_counts(by_state, "day"),
            waiting=_waiting(waiting),
            oldest_not_final=transfer_of(oldest) if oldest else None,
            in_transit=[InTransit(**dict(row)) for row in in_transit],
        )


def _conditions(asked: Sequence[tuple[str, Sequence[object | None]]]) -> tuple[str, list[object]]:
    """The conditions whose values are given, joined and numbered, and the values. Conditions are constants."""
    parts, values = ["true"], list[object]()
    for condition, given in asked:
        if None in given:
            continue
        numbers = [f"${len(values) + place}" for place in range(1, len(given) + 1)]
        parts.append(condition.format(*numbers))
        values += given
    return " AND ".join(parts), values


def _recorded(row: Row) -> Recorded:
    states = {name: _json(row[name]) for name in ("before", "after", "asked")}
    return Recorded(**(dict(row) | states | {"outcome": Outcome(row["outcome"])}))


def _interventions(actions: Sequence[Recorded], kept: Sequence[Row]) -> list[Intervention]:
    """Actions about the transfer, and what its workflows kept of other requests, in the order of time."""
    found = [
        Intervention(
            action.recorded_at,
            action.channel,
            action.actor_id,
            Action(action.action),
            action.reason,
            action.before,
            action.after or action.asked,
            action.outcome,
            action.id,
        )
        for action in actions
    ]
    for row in kept:
        channel = Channel.API if row["action_id"] else Channel.TEMPORAL
        states = {name: _json(row[name]) for name in ("before", "after")}
        told = dict(row) | states | {"action": Action(row["action"])}
        found.append(Intervention(**told, channel=channel, outcome=Outcome.TAKEN))
    return sorted(found, key=lambda intervention: intervention.at)


def _json(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def _waiting(rows: Sequence[Row]) -> list[Waiting]:
    found = {row["state"]: Waiting(**dict(row)) for row in rows}
    return [found.get(state, Waiting(state, 0, 0)) for state in State if not state.is_final]


def _counts(rows: Sequence[Row], period: str) -> dict[State, int]:
    counts = {row["state"]: row[period] for row in rows}
    return {state: counts.get(state, 0) for state in State}
