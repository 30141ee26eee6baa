"""The facts of one transfer, in one query that is put together from what the rules need.

Periods are counted from when the attempt began, not from when it is screened: a step that comes late sees the same.
Every part reads an index of the account's transfers from its newest on, and a bounded number of rows.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ledger.postgres.rows import Row
from ledger.refusals import IllegalTransition, UnknownTransfer
from ledger.transfers import State, TransferOrder
from screening.facts import (
    MOST_MOVEMENTS,
    Movements,
    MovementsWithin,
    Need,
    PaidBefore,
    ReceivedWithin,
)

if TYPE_CHECKING:
    from database.connections import Connection

# Of the first attempt, its row's time; of a later one, when it began.
_THIS = """
    SELECT id, state, attempt, source_account_id, destination_account_id, amount_minor,
        CASE WHEN attempt = 1 THEN created_at ELSE updated_at END AS began_at
    FROM transfers WHERE id = $1
"""

# Every period that ends with one of these transfers and holds this one. A transfer that was opened at the same time may
# have an earlier time and be committed later, so periods that end after this one count, too: of all that are opened
# together, the one that is screened last sees all.
_MOVEMENTS = """
    SELECT coalesce(max(n), 0) AS count, least(coalesce(max(total), 0), 9223372036854775807)::bigint AS sum_minor
    FROM (
        SELECT moved_at, count(*) OVER period AS n, sum(amount_minor) OVER period AS total
        FROM (
            SELECT t.began_at AS moved_at, t.amount_minor
            UNION ALL
            (
                SELECT o.created_at, o.amount_minor FROM transfers o
                WHERE o.source_account_id = t.source_account_id AND o.id <> t.id AND o.kind = ANY ({kinds}::text[])
                    AND o.state NOT IN ('failed', 'cancelled', 'compensated')
                    AND o.created_at >= t.began_at - {period} AND o.created_at <= t.began_at + {later}
                ORDER BY o.created_at DESC LIMIT {most}
            )
        ) moved
        WINDOW period AS (ORDER BY moved_at RANGE BETWEEN {period} PRECEDING AND CURRENT ROW)
    ) periods
    WHERE moved_at >= t.began_at
"""

_RECEIVED = """
    SELECT count(*) AS count, least(coalesce(sum(amount_minor), 0), 9223372036854775807)::bigint AS sum_minor
    FROM (
        SELECT o.amount_minor FROM transfers o
        WHERE o.destination_account_id = t.source_account_id AND o.kind = ANY ({kinds}::text[])
            AND o.state = 'completed' AND o.created_at >= t.began_at - {period} AND o.created_at <= t.began_at
        ORDER BY o.created_at DESC LIMIT {most}
    ) received
"""

_PAID_BEFORE = f"""
    EXISTS (
        SELECT FROM (
            SELECT o.destination_account_id FROM transfers o
            WHERE o.source_account_id = t.source_account_id AND o.id <> t.id
                AND o.state IN ('debited', 'completed') AND o.created_at < t.began_at
            ORDER BY o.created_at DESC LIMIT {MOST_MOVEMENTS}
        ) paid
        WHERE paid.destination_account_id = t.destination_account_id
    )
"""

_BALANCE = "coalesce((SELECT a.balance_minor - a.held_minor FROM accounts a WHERE a.id = t.source_account_id), 0)"

# Before its debit, or without one as of when the transfer was opened.
_PAST_BALANCE = """
    coalesce(
        (SELECT e.balance_before FROM entries e
            WHERE e.transfer_id = t.id AND e.account_id = t.source_account_id AND e.leg = 'debit'
            ORDER BY e.attempt DESC LIMIT 1),
        (SELECT e.balance_after FROM entries e
            WHERE e.account_id = t.source_account_id AND e.recorded_at <= t.began_at
            ORDER BY e.version DESC LIMIT 1),
        0
    )
"""


@dataclass(frozen=True, slots=True)
class _Query:
    sql: str
    arguments: tuple[object, ...]
    needs: tuple[Need, ...]


def _query(needs: Iterable[Need], later: str, balance: str, select: str, joins: str) -> _Query:
    """One statement about the transfer `$1`. The same needs always make the same text, so it is prepared once."""
    columns, parts, arguments = [select], [joins], []
    asked = tuple(sorted(needs, key=repr))
    for number, need in enumerate(asked):
        if isinstance(need, MovementsWithin | ReceivedWithin):
            arguments += [list(need.kinds), need.seconds]
            kinds, seconds = f"${len(arguments)}", f"${len(arguments) + 1}"  # $1 is the transfer
            period = f"make_interval(secs => {seconds}::integer)"
            part = _MOVEMENTS if isinstance(need, MovementsWithin) else _RECEIVED
            filled = part.format(kinds=kinds, period=period, later=later or period, most=MOST_MOVEMENTS)
            parts.append(f"CROSS JOIN LATERAL ({filled}) f{number}")
            columns.append(f"f{number}.count AS count_{number}, f{number}.sum_minor AS sum_{number}")
        else:
            columns.append(f"{_PAID_BEFORE if isinstance(need, PaidBefore) else balance} AS value_{number}")
    return _Query(f"SELECT {', '.join(columns)} FROM ({_THIS}) t {' '.join(parts)}", tuple(arguments), asked)


def _values(query: _Query, row: Row) -> Mapping[Need, Any]:
    return {
        need: Movements(row[f"count_{number}"], row[f"sum_{number}"])
        if isinstance(need, MovementsWithin | ReceivedWithin)
        else row[f"value_{number}"]
        for number, need in enumerate(query.needs)
    }


async def read_facts(
    connection: "Connection", order: TransferOrder, needs: Iterable[Need]
) -> tuple[Mapping[Need, Any], dict[str, Any] | None]:
    """The values of these needs as of now, and the verdict that the attempt has got already, if it has one.

    Raises `UnknownTransfer`, and `IllegalTransition` once the attempt has left its first state without a verdict.
    """
    query = _query(
        needs,
        later="",
        balance=_BALANCE,
        select="t.state, t.attempt, v.answer, v.rule_set_id, v.findings",
        joins="LEFT JOIN verdicts v ON v.transfer_id = t.id AND v.attempt = t.attempt",
    )
    row = await connection.fetchrow(query.sql, order.transfer_id, *query.arguments)
    if row is None:
        raise UnknownTransfer(order.transfer_id)
    if row["attempt"] != order.attempt:
        raise IllegalTransition(order.transfer_id, State(row["state"]), f"the screening of attempt {order.attempt}")
    if row["answer"] is not None:
        known = {"answer": row["answer"], "rule_set": row["rule_set_id"], "findings": json.loads(row["findings"])}
        return {}, known
    if State(row["state"]) is not State.INITIATED:
        raise IllegalTransition(order.transfer_id, State(row["state"]), "screening")
    return _values(query, row), None


async def read_past_facts(connection: "Connection", order: TransferOrder, needs: Iterable[Need]) -> Mapping[Need, Any]:
    """The values of these needs as of when a past transfer was opened, for a dry run."""
    query = _query(needs, later="interval '0'", balance=_PAST_BALANCE, select="t.id", joins="")
    row = await connection.fetchrow(query.sql, order.transfer_id, *query.arguments)
    if row is None:
        raise UnknownTransfer(order.transfer_id)
    return _values(query, row)
