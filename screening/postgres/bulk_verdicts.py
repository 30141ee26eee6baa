"""Screening of many orders at once: one read of facts for all of them, and the verdicts that are kept, by statements.

The rules and the answers are those of single transfers (`screening/postgres/verdicts.py`).
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from ledger.accounts import Account
from ledger.bulk.fold import BulkOutcome, Screened
from ledger.ids import SYSTEM_ACCOUNTS, AccountId, TransferId
from ledger.refusals import FraudDeclined
from ledger.transfers import TransferOrder
from screening.bulk_facts import BulkFacts
from screening.facts import MOST_MOVEMENTS, Facts, Movements, MovementsWithin, Need, PaidBefore, ReceivedWithin
from screening.postgres.rules_in_force import InForce
from screening.postgres.verdicts import open_case
from screening.rules import Finding, ScreeningAnswer, Verdict, findings_of, needs_of, verdict_of

if TYPE_CHECKING:
    from database.connections import Connection

log = structlog.get_logger()

# Of each account its newest movements in the period, as for a single transfer.
_MOVEMENTS = f"""
    SELECT asked.id, count(*) AS count, least(sum(o.amount_minor), 9223372036854775807)::bigint AS sum_minor
    FROM unnest($1::text[]) AS asked (id)
    CROSS JOIN LATERAL (
        SELECT t.amount_minor FROM transfers t
        WHERE t.{{side}}_account_id = asked.id AND t.kind = ANY ($2::text[]) AND {{counts}}
            AND t.created_at >= clock_timestamp() - make_interval(secs => $3::integer)
        ORDER BY t.created_at DESC LIMIT {MOST_MOVEMENTS}
    ) o
    GROUP BY asked.id
"""
_SENT = _MOVEMENTS.format(side="source", counts="t.state NOT IN ('failed', 'cancelled', 'compensated')")
_RECEIVED = _MOVEMENTS.format(side="destination", counts="t.state = 'completed'")

_PAID = f"""
    SELECT asked.source, asked.destination
    FROM unnest($1::text[], $2::text[]) AS asked (source, destination)
    WHERE EXISTS (
        SELECT FROM (
            SELECT o.destination_account_id FROM transfers o
            WHERE o.source_account_id = asked.source AND o.state IN ('debited', 'completed')
            ORDER BY o.created_at DESC LIMIT {MOST_MOVEMENTS}
        ) paid
        WHERE paid.destination_account_id = asked.destination
    )
"""

_KEEP = """
    INSERT INTO verdicts (transfer_id, attempt, answer, rule_set_id, findings, facts)
    SELECT v.transfer_id, 1, v.answer, $2, v.findings::jsonb, v.facts::jsonb
    FROM unnest($1::text[], $3::text[], $4::text[], $5::text[]) AS v (transfer_id, answer, findings, facts)
"""

_FLAG = """
    INSERT INTO case_flags (case_id, transfer_id, attempt, code, reason)
    SELECT f.case_id, f.transfer_id, 1, f.code, f.reason
    FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS f (case_id, transfer_id, code, reason)
    ON CONFLICT DO NOTHING
"""


async def read_bulk_facts(
    connection: "Connection", orders: Sequence[TransferOrder], needs: Collection[Need]
) -> BulkFacts:
    """What the books say of these orders' accounts. Without needs, nothing is read."""
    facts = BulkFacts()
    sources = sorted({order.source_account_id for order in orders})
    for need in needs:
        if isinstance(need, MovementsWithin | ReceivedWithin):
            sql = _SENT if isinstance(need, MovementsWithin) else _RECEIVED
            for row in await connection.fetch(sql, sources, list(need.kinds), need.seconds):
                facts.movements[row["id"], need] = Movements(row["count"], row["sum_minor"])
        elif isinstance(need, PaidBefore):
            pairs = sorted({(order.source_account_id, order.destination_account_id) for order in orders})
            paid = await connection.fetch(_PAID, [pair[0] for pair in pairs], [pair[1] for pair in pairs])
            facts.paid.update((row["source"], row["destination"]) for row in paid)
    return facts


@dataclass(slots=True)
class _Kept:
    verdict: Verdict
    findings: list[Finding]
    facts: Facts


@dataclass(slots=True)
class BulkScreening:
    """Screens the orders of one bulk posting, and writes what is kept of it. `reviews_pass`: a person has decided."""

    in_force: InForce
    reviews_pass: bool = False
    _facts: BulkFacts = field(default_factory=BulkFacts)
    _needs: frozenset[Need] = frozenset()
    _kept: dict[TransferId, _Kept] = field(default_factory=dict)

    async def prepare(self, connection: "Connection", orders: Sequence[TransferOrder]) -> "BulkScreening":
        """Read the facts of all orders. The answer is asked for one order after the other."""
        self._needs = frozenset(need for order in orders for need in needs_of(order, self.in_force.rules))
        self._facts = await read_bulk_facts(connection, orders, self._needs)
        return self

    def __call__(self, order: TransferOrder, source: Account) -> Screened:
        """What the rules say of this order. One that gives no verdict goes its own way, where it is asked again.

        Raises what the rule raised where a person has decided already: the posting stays in doubt.
        """
        try:
            verdict = self._ask(order, source)
        except Exception as error:
            if self.reviews_pass:
                raise
            log.exception("screening gave no verdict", transfer_id=order.transfer_id, error=str(error))
            return Screened(needs_review=True)
        if verdict.answer is ScreeningAnswer.DECLINE:
            return Screened(refusal=FraudDeclined().failure)
        needs_review = verdict.answer is ScreeningAnswer.REVIEW and not self.reviews_pass
        self._facts.add(order, self._needs, is_completed=not needs_review)
        return Screened(
            screened_by=verdict.rule_set, needs_review=needs_review, review_rules=verdict.rules if needs_review else ()
        )

    def _ask(self, order: TransferOrder, source: Account) -> Verdict:
        rules = self.in_force.rules
        facts = self.in_force.facts(order, self._facts.values(order, source, needs_of(order, rules)))
        findings = findings_of(order, rules, facts)
        verdict = verdict_of(findings, self.in_force.rule_set.id)
        if verdict.answer is not ScreeningAnswer.ALLOW:
            self._kept[order.transfer_id] = _Kept(verdict, findings, facts)
        return verdict

    async def keep(self, connection: "Connection", outcomes: Sequence[BulkOutcome]) -> None:
        """Write the verdicts of the transfers that were written, and the cases that their flags open."""
        written = [outcome.order for outcome in outcomes if outcome.is_new and outcome.order.transfer_id in self._kept]
        if not written:
            return
        kept = [self._kept[order.transfer_id] for order in written]
        await connection.execute(
            _KEEP,
            [order.transfer_id for order in written],
            self.in_force.rule_set.id,
            [each.verdict.answer.label for each in kept],
            [json.dumps([_json_of(finding) for finding in each.findings]) for each in kept],
            [json.dumps(each.facts.as_json()) for each in kept],
        )
        flags: dict[AccountId, list[tuple[TransferId, str, str]]] = {}
        for order, each in zip(written, kept, strict=True):
            for finding in each.findings:
                account_id = finding.account_id or order.customer_account_id
                if finding.answer is ScreeningAnswer.FLAG and account_id not in SYSTEM_ACCOUNTS:
                    flags.setdefault(account_id, []).append((order.transfer_id, finding.code, finding.reason))
        for account_id, found in sorted(flags.items()):
            case_id = await open_case(connection, account_id)
            columns = [list(column) for column in zip(*found, strict=True)]
            await connection.execute(_FLAG, [case_id] * len(found), *columns)


def _json_of(finding: Finding) -> dict[str, str]:
    return {"answer": finding.answer.label, "code": finding.code, "reason": finding.reason}
