"""Reads over all customers, for staff. Nothing here locks or writes, and nothing here asks whose it is."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ledger.accounts import Account
from ledger.ids import AccountId, ActionId, CustomerId, PostingId, TransferId
from ledger.operators import Action, Role
from ledger.postgres.audit import Totals, totals
from ledger.postgres.customers import CUSTOMER_COLUMNS, Customer, customer_of
from ledger.postgres.database import Database
from ledger.postgres.rows import ACCOUNT_COLUMNS, TRANSFER_COLUMNS, Row, account_of, transfer_of
from ledger.transfers import Kind, Leg, State, Transfer


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
    """What the owner of an account was told about a transfer."""

    customer_id: CustomerId
    account_id: AccountId
    attempt: int
    body: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Recorded:
    """An action of staff, as it was recorded."""

    id: ActionId
    actor_id: CustomerId
    actor_role: Role
    action: Action
    subject: str
    reason: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    recorded_at: datetime


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
    postings: list[PostingFact]
    entries: list[EntryFact]
    messages: list[Message]
    actions: list[Recorded]


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
    SELECT customer_id, account_id, attempt, body, created_at
    FROM messages WHERE transfer_id = $1 ORDER BY attempt, created_at, account_id
"""

_ACTION_COLUMNS = "id, actor_id, actor_role, action, subject, reason, before, after, recorded_at"

_ACTIONS_ABOUT = f"SELECT {_ACTION_COLUMNS} FROM operator_actions WHERE subject = $1 ORDER BY recorded_at, id"

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
        """A transfer with its postings, entries, messages, and the actions about it."""
        async with (
            self._database.connection() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            row = await connection.fetchrow(_TRANSFER, transfer_id)
            if row is None:
                return None
            return TransferFile(
                transfer=transfer_of(row),
                postings=[PostingFact(**dict(row)) for row in await connection.fetch(_POSTINGS, transfer_id)],
                entries=[EntryFact(**dict(row)) for row in await connection.fetch(_ENTRIES, transfer_id)],
                messages=[Message(**dict(row)) for row in await connection.fetch(_MESSAGES, transfer_id)],
                actions=[_recorded(row) for row in await connection.fetch(_ACTIONS_ABOUT, transfer_id)],
            )

    async def actions(self, wanted: ActionSearch, limit: int) -> list[Recorded]:
        """The record of what staff did, newest first."""
        where, values = _conditions(
            [
                ("actor_id = {}", [wanted.actor_id]),
                ("subject = {}", [wanted.subject]),
                ("(recorded_at, id) < ({}, {})", wanted.before or [None]),
            ]
        )
        query = f"""
            SELECT {_ACTION_COLUMNS} FROM operator_actions WHERE {where}
            ORDER BY recorded_at DESC, id DESC LIMIT ${len(values) + 1}
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
    states = {name: json.loads(row[name]) if row[name] is not None else None for name in ("before", "after")}
    return Recorded(**(dict(row) | states))


def _waiting(rows: Sequence[Row]) -> list[Waiting]:
    found = {row["state"]: Waiting(**dict(row)) for row in rows}
    return [found.get(state, Waiting(state, 0, 0)) for state in State if not state.is_final]


def _counts(rows: Sequence[Row], period: str) -> dict[State, int]:
    counts = {row["state"]: row[period] for row in rows}
    return {state: counts.get(state, 0) for state in State}
