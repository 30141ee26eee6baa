"""The rules and lists that a process screens by, and how it learns that staff have changed them.

A process asks PostgreSQL for changes at most once in a lease, when it screens. So screening costs a busy process no
round trip, and an idle one a small one beside the opening. Who changes a rule or a list waits for a lease after the
commit before they answer: from then on, every process screens by the change.
"""

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from database.connections import Database
from ledger.ids import AccountId, RuleSetId
from ledger.transfers import TransferOrder
from screening.facts import Facts, Need
from screening.rule_sets import RuleSet, rule_set_in
from screening.rules import ScreeningRule

if TYPE_CHECKING:
    from database.connections import Connection

LEASE_MILLISECONDS = 500

_RECORD = "INSERT INTO rule_sets (id, rules) VALUES ($1, $2::jsonb) ON CONFLICT DO NOTHING"

# The accounts of a listed customer are counted, because an account that they open changes no list.
_HEAD = """
    SELECT changes, (SELECT count(*) FROM list_members m JOIN accounts a ON a.owner_id = m.member_id) AS accounts
    FROM screening_head
"""

_LISTED = """
    SELECT m.list, coalesce(a.id, m.member_id) AS account_id
    FROM list_members m LEFT JOIN accounts a ON a.owner_id = m.member_id
    ORDER BY m.list
"""

_CHOSEN = """
    SELECT r.id, r.rules FROM rule_set_changes c LEFT JOIN rule_sets r ON r.id = c.rule_set_id
    ORDER BY c.number DESC LIMIT 1
"""

_NEXT_CHANGE = "UPDATE screening_head SET changes = changes + 1 RETURNING changes"


@dataclass(frozen=True, slots=True)
class InForce:
    """What transfers are screened by at one moment: a rule set, and rules that are asked beside every rule set."""

    rule_set: RuleSet
    lists: Mapping[AccountId, tuple[str, ...]] = field(default_factory=dict)
    required: tuple[ScreeningRule, ...] = ()

    @property
    def rules(self) -> tuple[ScreeningRule, ...]:
        """All of them."""
        return (*self.rule_set.rules, *self.required)

    def facts(self, order: TransferOrder, values: Mapping[Need, Any]) -> Facts:
        """What the rules see of this order: the values of their needs, and the lists of both accounts."""
        payer, payee = order.source_account_id, order.destination_account_id
        return Facts(values, self.lists.get(payer, ()), self.lists.get(payee, ()))


class RulesInForce:
    """What this process screens by: never older than a lease.

    Every rule set is recorded before its first verdict, so that any verdict's rules can be read. Raises `Unavailable`
    where PostgreSQL gave no answer: then nothing is screened.
    """

    def __init__(
        self,
        database: Database,
        configured: RuleSet,
        required: Sequence[ScreeningRule] = (),
        *,
        is_fixed: bool = False,
    ) -> None:
        """`configured` are the rules until admins choose others; if that `is_fixed`, nobody can.

        `required` rules are asked beside every rule set.
        """
        self._database = database
        self._configured = configured
        self._required = tuple(required)
        self._is_fixed = is_fixed
        self._recorded: set[RuleSetId] = set()
        self._known: tuple[InForce, tuple[int, int]] | None = None
        self._leased_until_ns = 0
        self._refresh = asyncio.Lock()

    async def now(self, connection: "Connection | None" = None) -> InForce:
        """The rules and lists that count now, read on this connection: its holder need not wait for another one."""
        if self._known is None or time.monotonic_ns() >= self._leased_until_ns:
            async with self._refresh:  # of all that wait here, the first one asks
                if self._known is None or time.monotonic_ns() >= self._leased_until_ns:
                    # Before the question: what is committed later counts at the end of the lease at the latest.
                    asked_at_ns = time.monotonic_ns()
                    self._known = await self._read(self._known, connection)
                    self._leased_until_ns = asked_at_ns + LEASE_MILLISECONDS * 1_000_000
        return self._known[0]

    async def _read(
        self, known: tuple[InForce, tuple[int, int]] | None, given: "Connection | None"
    ) -> tuple[InForce, tuple[int, int]]:
        async with nullcontext(given) if given else self._database.connection() as connection:
            row = await connection.fetchrow(_HEAD)
            assert row is not None, "the migration has written it"
            head = (row["changes"], row["accounts"])
            if known is not None and known[1] == head:
                return known
            rule_set = self._configured
            if not self._is_fixed:
                chosen = await connection.fetchrow(_CHOSEN)
                if chosen is not None and chosen["id"] is not None:
                    rule_set = rule_set_in(json.loads(chosen["rules"]))
            if rule_set.id not in self._recorded:
                # In a transaction of its own: that of the given connection may be rolled back.
                async with self._database.connection() if given else nullcontext(connection) as own:
                    await record_rule_set(own, rule_set)
                self._recorded.add(rule_set.id)
            return InForce(rule_set, await read_lists(connection), self._required), head


async def record_rule_set(connection: "Connection", rule_set: RuleSet) -> None:
    """Let the rule set be found by its id. One that is known stays as it is."""
    await connection.execute(_RECORD, rule_set.id, json.dumps(rule_set.contents))


async def read_lists(connection: "Connection") -> Mapping[AccountId, tuple[str, ...]]:
    """The lists that each listed account is on, by itself or by its owner."""
    lists: dict[AccountId, tuple[str, ...]] = defaultdict(tuple)
    for listed in await connection.fetch(_LISTED):
        lists[AccountId(listed["account_id"])] += (listed["list"],)
    return dict(lists)


async def next_change(connection: "Connection") -> int:
    """The number of the change that this transaction makes. It holds off all other changes until it ends."""
    number: int = await connection.fetchval(_NEXT_CHANGE)
    return number
