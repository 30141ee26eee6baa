"""The record of what staff did, read by staff. Reads only."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from database.connections import Database
from ledger.ids import ActionId, CustomerId
from ledger.postgres.rows import Row
from staff.permissions import Action, Channel, Role


class Outcome(StrEnum):
    """What came of an action. `unknown`: it was recorded and sent, and nobody knows whether it was taken."""

    TAKEN = "taken"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class RecordedAction:
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
class ActionSearch:
    """Which actions a list holds; `before` is the time and id of the last one seen."""

    actor_id: CustomerId | None = None
    subject: str | None = None
    before: tuple[datetime, str] | None = None


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


ACTIONS = f"SELECT {_ACTION_COLUMNS} FROM operator_actions a LEFT JOIN action_outcomes o ON o.action_id = a.id"


class ActionLog:
    """All raise `Unavailable` where PostgreSQL gave no answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, wanted: ActionSearch, limit: int) -> list[RecordedAction]:
        """The record of what staff did, newest first."""
        where, values = _conditions(
            [
                ("a.actor_id = {}", [wanted.actor_id]),
                ("a.subject = {}", [wanted.subject]),
                ("(a.recorded_at, a.id) < ({}, {})", wanted.before or [None]),
            ]
        )
        query = f"""
            {ACTIONS} WHERE {where}
            ORDER BY a.recorded_at DESC, a.id DESC LIMIT ${len(values) + 1}
        """
        async with self._database.connection() as connection:
            return [recorded_action(row) for row in await connection.fetch(query, *values, limit)]


def recorded_action(row: Row) -> RecordedAction:
    """The action in a row of `ACTIONS`."""
    states = {name: json_of(row[name]) for name in ("before", "after", "asked")}
    return RecordedAction(**(dict(row) | states | {"outcome": Outcome(row["outcome"])}))


def json_of(text: str | None) -> Any:
    """What a column of JSON holds; None where it is null."""
    return None if text is None else json.loads(text)


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
