"""Verdicts: what the rules said about one attempt of a transfer, kept with the facts that they saw.

A plain allow is not kept here: its debit writes the rule set's id into the transfer's row. Everything else is written
in one transaction with the case that a flag opens, once for each attempt. So a crash or a repeat neither loses a flag
nor writes it twice.
"""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import asyncpg

from database.connections import Database, Unavailable
from ledger.ids import SYSTEM_ACCOUNTS, AccountId, CaseId, new_case_id
from ledger.refusals import UnknownTransfer
from ledger.transfers import TransferOrder
from screening.facts import Facts
from screening.postgres.fact_reads import read_facts
from screening.postgres.rules_in_force import InForce
from screening.rules import Finding, ScreeningAnswer, Verdict, findings_of, needs_of, verdict_of

if TYPE_CHECKING:
    from database.connections import Connection

_KEEP = """
    INSERT INTO verdicts (transfer_id, attempt, answer, rule_set_id, findings, facts)
    VALUES ($1, $2, $3, $4, $5::jsonb, $6::jsonb)
    ON CONFLICT DO NOTHING RETURNING 1
"""

_KEPT = "SELECT answer, rule_set_id, findings FROM verdicts WHERE transfer_id = $1 AND attempt = $2"

# The share lock keeps the case open until its flag is written: whoever closes it waits, and then sees the flag.
_OPEN_CASE = """
    WITH found AS MATERIALIZED (
        SELECT id FROM cases WHERE account_id = $1 AND closed_at IS NULL FOR KEY SHARE
    ),
    made AS (
        INSERT INTO cases (id, account_id) SELECT $2, $1 WHERE NOT EXISTS (SELECT FROM found)
        ON CONFLICT (account_id) WHERE closed_at IS NULL DO NOTHING
        RETURNING id
    )
    SELECT id FROM found UNION ALL SELECT id FROM made
"""

# Another transaction may open a case, or close one, between the two parts of the statement.
CASE_TRIES = 5

_FLAG = """
    INSERT INTO case_flags (case_id, transfer_id, attempt, code, reason)
    SELECT $1, $2, $3, made.code, made.reason FROM unnest($4::text[], $5::text[]) AS made (code, reason)
    ON CONFLICT DO NOTHING
"""


class Verdicts:
    """All raise `Unavailable` where PostgreSQL gave no answer: in doubt, repeat the call."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def give(self, order: TransferOrder, in_force: InForce) -> Verdict:
        """Read the facts that the rules need, ask the rules, and keep the verdict unless it is a plain allow.

        The row of the transfer must be there. A repeat finds the first verdict of the attempt, whatever the rules say
        by then. Raises `UnknownTransfer` and `IllegalTransition`, and whatever a rule raises.
        """
        rules = in_force.rules
        async with self._database.connection() as connection:
            values, known = await read_facts(connection, order, needs_of(order, rules))
        if known is not None:
            return _verdict_in(known["answer"], known["rule_set"], known["findings"])
        facts = in_force.facts(order, values)
        findings = findings_of(order, rules, facts)
        verdict = verdict_of(findings, in_force.rule_set.id)
        return verdict if verdict.answer is ScreeningAnswer.ALLOW else await self._keep(order, verdict, findings, facts)

    async def _keep(self, order: TransferOrder, verdict: Verdict, findings: Sequence[Finding], facts: Facts) -> Verdict:
        found = [
            {"answer": finding.answer.label, "code": finding.code, "reason": finding.reason} for finding in findings
        ]
        attempt = (order.transfer_id, order.attempt)
        try:
            async with self._database.transaction() as connection:
                values = (verdict.answer.label, verdict.rule_set, json.dumps(found), json.dumps(facts.as_json()))
                if await connection.fetchval(_KEEP, *attempt, *values) is None:
                    kept = await connection.fetchrow(_KEPT, *attempt)
                    assert kept is not None, "the insert has met it"
                    return _verdict_in(kept["answer"], kept["rule_set_id"], json.loads(kept["findings"]))
                await _flag(connection, order, findings)
        except asyncpg.ForeignKeyViolationError as error:
            if error.constraint_name != "verdicts_transfer_id_fkey":
                raise
            raise UnknownTransfer(order.transfer_id) from error
        return verdict


def _verdict_in(answer: str, rule_set: str, findings: list[dict[str, Any]]) -> Verdict:
    codes = dict.fromkeys(finding["code"] for finding in findings if finding["answer"] == answer)
    return Verdict(ScreeningAnswer.named(answer), list(codes), rule_set)


async def _flag(connection: "Connection", order: TransferOrder, findings: Sequence[Finding]) -> None:
    """Mark the accounts that rules flag: each gets an open case, or its open case another flag.

    In the order of their ids, so that two transfers which flag the same accounts cannot deadlock. Whatever else must
    follow a flag, such as an event, belongs into this transaction.
    """
    flagged: dict[AccountId, dict[str, str]] = {}
    for finding in findings:
        account_id = finding.account_id or order.customer_account_id
        if finding.answer is ScreeningAnswer.FLAG and account_id not in SYSTEM_ACCOUNTS:
            flagged.setdefault(account_id, {}).setdefault(finding.code, finding.reason)
    for account_id, reasons in sorted(flagged.items()):
        case_id = await open_case(connection, account_id)
        await connection.execute(
            _FLAG, case_id, order.transfer_id, order.attempt, list(reasons), list(reasons.values())
        )


async def open_case(connection: "Connection", account_id: AccountId) -> CaseId:
    """The open case of this account, which stays open until this transaction ends."""
    for _ in range(CASE_TRIES):
        found = await connection.fetchval(_OPEN_CASE, account_id, new_case_id())
        if found is not None:
            return CaseId(found)
    raise Unavailable(f"Others opened and closed cases of {account_id} each time: ask again.")
