"""Proves the outbox: every change has its event, positions have no gap, and each account's versions ascend with them.

It reads, writes nothing and takes no lock. What changed in the last minute is left to the next look. One statement may
take minutes: the database's limits are those of proofs.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncpg

from database.connections import Database, NoSchema, Unavailable

if TYPE_CHECKING:
    from datetime import datetime

    from database.connections import Connection

# What is looked at unless everything is: so many of the last positions, and the changes of their time.
RECENT_EVENTS = 200_000
EVENTS_AT_ONCE = 20_000

# Whoever finds so much stops: a list without end helps nobody.
MOST_FINDINGS = 1_000

_EXTENT = "SELECT last, dropped_through, began_at FROM event_head"
_FIRST = "SELECT occurred_at FROM outbox_events WHERE position > $1 ORDER BY position LIMIT 1"

_GAPS = """
    SELECT wanted.position::text AS subject,
        CASE count(e.id) WHEN 0 THEN 'no event has this position' ELSE count(e.id) || ' events have it' END AS detail
    FROM generate_series($1::bigint + 1, $2::bigint) AS wanted (position)
    LEFT JOIN outbox_events e ON e.position = wanted.position AND e.position > $1 AND e.position <= $2
    GROUP BY wanted.position HAVING count(e.id) <> 1 ORDER BY wanted.position LIMIT $3
"""

# Each entry is one version further than what came before it, and all else happens at the version of that moment. What
# came before the first event that is kept is not known.
_ORDER = """
    WITH versions AS (
        SELECT account_id, account_version, position, jsonb_typeof(data -> 'entry') = 'object' AS is_entry,
            lag(account_version) OVER (PARTITION BY account_id ORDER BY position) AS before
        FROM outbox_events WHERE position > $1 AND position <= $2 AND account_version IS NOT NULL
    )
    SELECT v.account_id AS subject, format('version %s at position %s follows version %s', v.account_version,
        v.position, coalesce(v.before, earlier.account_version)) AS detail
    FROM versions v
    LEFT JOIN LATERAL (
        SELECT e.account_version FROM outbox_events e
        WHERE v.before IS NULL AND e.account_id = v.account_id AND e.position <= $1
            AND e.account_version IS NOT NULL
        ORDER BY e.position DESC LIMIT 1
    ) earlier ON true
    WHERE v.account_version
        <> coalesce(v.before, earlier.account_version) + coalesce(v.is_entry, false)::int
    ORDER BY v.position LIMIT $3
"""

# Which types tell of a row: $1 and $2 are the time. An event that has no position yet is one as well.
_MISSING = """
    SELECT wanted.subject, format('no event %s', wanted.type) AS detail
    FROM (
        {wanted}
    ) wanted
    WHERE NOT EXISTS (
        SELECT FROM outbox_events e
        WHERE e.position IS NOT NULL AND e.subject = wanted.subject AND e.type = wanted.type {matching}
    ) AND NOT EXISTS (
        SELECT FROM outbox_events e
        WHERE e.position IS NULL AND e.subject = wanted.subject AND e.type = wanted.type {matching}
    )
    ORDER BY 1, 2 LIMIT $3
"""

_IN_TIME = "BETWEEN $1 AND $2"
_WANTED = {
    "event_of_transfer": (
        f"""
        SELECT id AS subject, 'transfer.initiated' AS type, NULL::bigint AS attempt
        FROM transfers WHERE created_at {_IN_TIME}
        UNION ALL
        SELECT id, CASE state WHEN 'initiated' THEN 'transfer.retried' ELSE 'transfer.' || state END, attempt
        FROM transfers WHERE created_at {_IN_TIME} AND updated_at <= $2 AND (state <> 'initiated' OR attempt > 1)
        UNION ALL
        SELECT transfer_id, 'transfer.' || a.state, a.attempt
        FROM attempts a JOIN transfers t ON t.id = a.transfer_id WHERE t.created_at {_IN_TIME} AND a.ended_at <= $2
        """,
        "AND coalesce((e.data -> 'transfer' ->> 'attempt')::bigint = wanted.attempt, true)",
    ),
    "event_of_entry": (
        f"""
        SELECT e.transfer_id AS subject, CASE e.leg WHEN 'debit' THEN 'transfer.debited'
            WHEN 'credit' THEN 'transfer.completed' ELSE 'transfer.compensated' END AS type,
            e.account_id, e.version
        FROM postings p JOIN entries e ON e.transfer_id = p.transfer_id AND e.attempt = p.attempt AND e.leg = p.leg
        WHERE p.recorded_at {_IN_TIME}
        """,
        "AND e.account_id = wanted.account_id AND e.account_version = wanted.version",
    ),
    "event_of_account": (
        f"SELECT id AS subject, 'account.created' AS type FROM accounts WHERE created_at {_IN_TIME}",
        "",
    ),
    "event_of_customer": (
        f"SELECT id AS subject, 'customer.created' AS type FROM customers WHERE created_at {_IN_TIME}",
        "",
    ),
    "event_of_dispute": (
        f"""
        SELECT id AS subject, 'dispute.opened' AS type FROM disputes WHERE created_at {_IN_TIME}
        UNION ALL
        SELECT id, 'dispute.ended' FROM disputes WHERE created_at {_IN_TIME} AND closed_at <= $2
        """,
        "",
    ),
}
_CHANGES = {
    invariant: _MISSING.format(wanted=wanted, matching=matching) for invariant, (wanted, matching) in _WANTED.items()
}

# A day at a time, up to a minute ago: what is written now may not be visible yet.
_DAYS = """
    SELECT day, least(day + interval '1 day', clock_timestamp() - interval '1 minute') AS until
    FROM generate_series($1::timestamptz, clock_timestamp() - interval '1 minute', '1 day') AS day
"""


@dataclass(frozen=True, slots=True)
class EventFinding:
    """What does not hold of the outbox: the rule, the position or the row, and what was found there."""

    invariant: str
    subject: str
    detail: str


async def verify_events(database: Database, *, full: bool = False) -> list[EventFinding]:
    """What does not hold, in order; with `full` of all events that are kept, else of the last ones. Nothing: all holds.

    Raises `NoSchema` if tables are missing, and `Unavailable` where PostgreSQL gave no answer.
    """
    try:
        async with database.connection() as connection:
            return await _findings(connection, full=full)
    except asyncpg.UndefinedTableError as error:
        raise NoSchema(f"The database does not have the schema of this version ({error}): run `remit migrate`.") from (
            error
        )
    except asyncpg.InsufficientPrivilegeError as error:
        raise Unavailable(f"The role may not read the events: {error}.") from error


async def _findings(connection: "Connection", *, full: bool) -> list[EventFinding]:
    head = await connection.fetchrow(_EXTENT)
    if head is None:
        return [EventFinding("event_head", "event_head", "the row is missing")]
    first = head["dropped_through"] if full else max(head["dropped_through"], head["last"] - RECENT_EVENTS)
    found: list[EventFinding] = []
    for after in range(first, head["last"], EVENTS_AT_ONCE):
        through = min(after + EVENTS_AT_ONCE, head["last"])
        for invariant, query in (("event_gap", _GAPS), ("event_order", _ORDER)):
            found += await _ask(connection, invariant, query, after, through)
        if len(found) >= MOST_FINDINGS:
            return found[:MOST_FINDINGS]
    since = await connection.fetchval(_FIRST, first) if first else None
    for day in await connection.fetch(_DAYS, max(since or head["began_at"], head["began_at"])):
        for invariant, query in _CHANGES.items():
            found += await _ask(connection, invariant, query, day["day"], day["until"])
        if len(found) >= MOST_FINDINGS:
            break
    return found[:MOST_FINDINGS]


async def _ask(
    connection: "Connection", invariant: str, query: str, begin: "int | datetime", end: "int | datetime"
) -> list[EventFinding]:
    rows = await connection.fetch(query, begin, end, MOST_FINDINGS)
    return [EventFinding(invariant, row["subject"], row["detail"]) for row in rows]
