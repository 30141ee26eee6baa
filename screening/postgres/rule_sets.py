"""Rules that admins put in force: requested by one, made by another, each on the record."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from database.answers import Keep, keeps_nothing
from database.connections import Database
from database.paging import Page
from database.rows import dataclass_of
from ledger.ids import CustomerId, RuleSetId
from ledger.refusals import ActionRefused
from screening.postgres.rules_in_force import next_change, record_rule_set
from screening.rule_sets import RuleSet
from staff.permissions import Action, Actor, Role, check_allowed
from staff.postgres.actions import record_action
from staff.postgres.people import find_too_young

if TYPE_CHECKING:
    from database.connections import Connection

# What a request to go back to the rules of the settings is about, instead of a rule set.
CONFIGURED = "configured rules"

_LOCK_ROLE = "SELECT role FROM customers WHERE id = $1 FOR NO KEY UPDATE"

_CHANGES = """
    SELECT c.number, c.rule_set_id, r.rules, c.changed_at, a.actor_id AS changed_by,
        a.asked->>'requested_by' AS requested_by, a.reason
    FROM rule_set_changes c JOIN staff_actions a ON a.id = c.action_id LEFT JOIN rule_sets r ON r.id = c.rule_set_id
    WHERE $1::bigint IS NULL OR c.number < $1 ORDER BY c.number DESC LIMIT $2
"""

_RULES = "SELECT rules FROM rule_sets WHERE id = $1"

# A request counts until the rules change, and as long as whoever made it is an admin.
_REQUESTED_BY = """
    SELECT a.actor_id FROM staff_actions a JOIN customers c ON c.id = a.actor_id
    WHERE a.subject = $1 AND a.action = 'request_rules' AND a.actor_id <> $2 AND c.role = 'admin'
        AND c.role_since < a.recorded_at
        AND a.recorded_at > coalesce((SELECT max(changed_at) FROM rule_set_changes), '-infinity')
    ORDER BY a.recorded_at LIMIT 1
"""

_CHANGE = "INSERT INTO rule_set_changes (number, rule_set_id, action_id) VALUES ($1, $2, $3)"


@dataclass(frozen=True, slots=True)
class RuleSetChange:
    """A change of the rules in force, and who made it. Without a rule set: back to the rules of the settings."""

    number: int
    rule_set_id: RuleSetId | None
    rules: list[dict[str, Any]] | None
    changed_at: datetime
    changed_by: CustomerId
    requested_by: CustomerId
    reason: str


@dataclass(frozen=True, slots=True)
class RulesNow:
    """The rules in force; `change` is None while they are those of the settings, or of a file.

    `waits`: another rule set was requested, and waits for another admin to request it, too.
    """

    rule_set_id: RuleSetId
    rules: list[dict[str, Any]]
    change: RuleSetChange | None
    waits: bool = False


@dataclass(eq=False)
class RulesFromFile(ActionRefused):
    """The rules are in a file that the operators of the processes keep."""

    code = "rules_from_file"

    def __str__(self) -> str:
        return "The rules come from a file, REMIT_RULES_FILE. They are changed there."


class RuleSets:
    """All raise `Unavailable` where PostgreSQL gave no answer: in doubt, read, then repeat."""

    def __init__(
        self, database: Database, configured: RuleSet, four_eyes_after: timedelta, *, is_fixed: bool = False
    ) -> None:
        """`configured` are the rules until admins choose others; if that `is_fixed`, nobody can.

        `four_eyes_after`: somebody whose role is younger is not one of the two who change the rules.
        """
        self._database = database
        self._configured = configured
        self._four_eyes_after = four_eyes_after
        self._is_fixed = is_fixed

    async def now(self) -> RulesNow:
        """The rules in force."""
        async with self._database.connection() as connection:
            return await self._now(connection)

    async def changes(self, before: int | None, limit: int) -> Page[RuleSetChange]:
        """All changes of the rules, newest first, from before this number."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(_CHANGES, before, limit + 1)
        return Page([_change_of(row) for row in rows[:limit]], has_more=len(rows) > limit)

    async def rules_of(self, rule_set_id: RuleSetId) -> list[dict[str, Any]] | None:
        """The rules of any rule set that was ever in use. None: there was none with this id."""
        async with self._database.connection() as connection:
            found = await connection.fetchval(_RULES, rule_set_id)
        return None if found is None else list(json.loads(found))

    async def put_in_force(
        self, actor: Actor, wanted: RuleSet | None, reason: str, keep: Keep[RulesNow] = keeps_nothing
    ) -> RulesNow:
        """Request these rules, or make the change that another admin has requested. None: those of the settings.

        Refuses with `RulesFromFile`, and with `RoleTooYoung`. Transfers are screened by the change from the end of the
        lease of `RulesInForce` on.
        """
        check_allowed(actor, Action.SET_RULES)
        if self._is_fixed:
            raise RulesFromFile
        subject = wanted.id if wanted else CONFIGURED
        async with self._database.transaction() as connection:
            # The actor's own role may have been taken since the request was let in.
            check_allowed(Actor(actor.id, Role(await connection.fetchval(_LOCK_ROLE, actor.id))), Action.SET_RULES)
            number = await next_change(connection)
            if too_young := await find_too_young(connection, actor.id, self._four_eyes_after):
                raise too_young
            before = {"rule_set_id": (await self._now(connection)).rule_set_id}
            first = await connection.fetchval(_REQUESTED_BY, subject, actor.id)
            asked: dict[str, Any] = {"rules": wanted.contents if wanted else None}
            if first is None:
                await record_action(connection, actor, Action.REQUEST_RULES, subject, reason, before, before, asked)
                now = await self._now(connection, waits=True)
            else:
                if wanted is not None:
                    await record_rule_set(connection, wanted)
                after = {"rule_set_id": (wanted or self._configured).id}
                asked |= {"requested_by": first}
                action_id = await record_action(
                    connection, actor, Action.SET_RULES, subject, reason, before, after, asked
                )
                await connection.execute(_CHANGE, number, wanted.id if wanted else None, action_id)
                now = await self._now(connection)
            await keep(connection, now)
            return now

    async def _now(self, connection: "Connection", *, waits: bool = False) -> RulesNow:
        row = None if self._is_fixed else await connection.fetchrow(_CHANGES, None, 1)
        change = _change_of(row) if row else None
        if change is None or change.rule_set_id is None or change.rules is None:
            return RulesNow(self._configured.id, self._configured.contents, change, waits)
        return RulesNow(change.rule_set_id, change.rules, change, waits)


def _change_of(row: Any) -> RuleSetChange:
    rules = None if row["rules"] is None else json.loads(row["rules"])
    return dataclass_of(RuleSetChange, row, rules=rules)
