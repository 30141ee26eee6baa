"""The rules that a process screens by."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass

from database.connections import Database
from screening.rule_sets import RuleSet
from screening.rules import ScreeningRule

_RECORD = "INSERT INTO rule_sets (id, rules) VALUES ($1, $2::jsonb) ON CONFLICT DO NOTHING"


@dataclass(frozen=True, slots=True)
class InForce:
    """What transfers are screened by at one moment: a rule set, and rules that are asked beside every rule set."""

    rule_set: RuleSet
    required: tuple[ScreeningRule, ...] = ()

    @property
    def rules(self) -> tuple[ScreeningRule, ...]:
        """All of them."""
        return (*self.rule_set.rules, *self.required)


class RulesInForce:
    """The rule set of this process. It is recorded before its first verdict, so that any verdict's rules can be read.

    Raises `Unavailable` where PostgreSQL gave no answer: then nothing is screened.
    """

    def __init__(self, database: Database, configured: RuleSet, required: Sequence[ScreeningRule] = ()) -> None:
        self._database = database
        self._now = InForce(configured, tuple(required))
        self._is_recorded = False
        self._refresh = asyncio.Lock()

    async def now(self) -> InForce:
        """The rules that count now. After the first call this takes no round trip."""
        if not self._is_recorded:
            async with self._refresh:
                if not self._is_recorded:
                    await self._record(self._now.rule_set)
                    self._is_recorded = True
        return self._now

    async def _record(self, rule_set: RuleSet) -> None:
        async with self._database.connection() as connection:
            await connection.execute(_RECORD, rule_set.id, json.dumps(rule_set.contents))
