"""The rows of `account_stats`: the figures of each account that has entries."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import orjson
from sqlalchemy import Text, any_, bindparam, select
from sqlalchemy.dialects.postgresql import ARRAY

from database.paging import Place
from database.rows import dataclass_of
from database.statements import fetch
from events.event import Event
from events.in_turns import in_turns
from ledger.accounts import AccountStatistics
from ledger.ids import AccountId
from projections.account_stats import NO_ENTRIES, entered_account, with_entry
from projections.postgres.read_model import DroppedEvents
from projections.postgres.tables import account_stats
from projections.projection import ProjectionName

if TYPE_CHECKING:
    from database.connections import Connection

# An account may have many entries, and one statement reads them all.
ACCOUNTS_AT_ONCE = 20
BOOKS_SECONDS = 60

_KNOWN = select(account_stats).where(
    account_stats.c.slot == bindparam("slot"),
    account_stats.c.account_id == any_(bindparam("account_ids", type_=ARRAY(Text))),
)

_WRITE = """
    INSERT INTO account_stats
    SELECT * FROM jsonb_populate_recordset(NULL::account_stats, $1::jsonb)
    ON CONFLICT (slot, account_id) DO UPDATE SET version = excluded.version, balance_minor = excluded.balance_minor,
        deposits = excluded.deposits, deposited_minor = excluded.deposited_minor,
        withdrawals = excluded.withdrawals, withdrawn_minor = excluded.withdrawn_minor,
        incoming = excluded.incoming, incoming_minor = excluded.incoming_minor,
        outgoing = excluded.outgoing, outgoing_minor = excluded.outgoing_minor,
        last_activity_at = excluded.last_activity_at
"""

_NEXT_ACCOUNTS = """
    SELECT id, created_at FROM accounts
    WHERE created_at < $1 AND ($2::timestamptz IS NULL OR (created_at, id) > ($2, $3)) ORDER BY created_at, id LIMIT $4
"""

# An entry and its event commit together, and the events of an account have the order of its entries. So what
# no kept event has are the entries before the first one whose event is kept.
_WITHOUT_EVENT = """
    SELECT a.id AS account_id, max(e.version) AS version, sum(e.amount_minor)::bigint AS balance_minor,
        sum(e.deposits)::bigint AS deposits, sum(e.deposited_minor)::bigint AS deposited_minor,
        sum(e.withdrawals)::bigint AS withdrawals, sum(e.withdrawn_minor)::bigint AS withdrawn_minor,
        sum(e.incoming)::bigint AS incoming, sum(e.incoming_minor)::bigint AS incoming_minor,
        sum(e.outgoing)::bigint AS outgoing, sum(e.outgoing_minor)::bigint AS outgoing_minor,
        max(e.recorded_at) AS last_activity_at
    FROM unnest($1::text[]) AS a (id)
    CROSS JOIN LATERAL (
        SELECT least(
            (
                SELECT o.account_version FROM outbox_events o
                WHERE o.account_id = a.id AND o.position > $2 AND o.type LIKE 'transfer.%'
                    AND o.account_version IS NOT NULL
                ORDER BY o.position LIMIT 1
            ),
            (
                SELECT min(o.account_version) FROM outbox_events o
                WHERE o.account_id = a.id AND o.position IS NULL AND o.type LIKE 'transfer.%'
            )
        ) AS version
    ) first_told
    JOIN entry_totals e ON e.account_id = a.id AND (first_told.version IS NULL OR e.version < first_told.version)
    GROUP BY a.id
"""


class AccountStatsModel:
    """Fulfils `ReadModel`."""

    name = ProjectionName.ACCOUNT_STATS

    async def fold(self, connection: "Connection", slot: int, events: Sequence[Event]) -> None:
        """Read the accounts that have new entries, and write them anew."""
        entered = [(account_id, event) for event in events if (account_id := entered_account(event)) is not None]
        if not entered:
            return
        rows = await fetch(connection, _KNOWN, slot=slot, account_ids=sorted({account_id for account_id, _ in entered}))
        figures = {AccountId(row["account_id"]): dataclass_of(AccountStatistics, row) for row in rows}
        async for several in in_turns(entered):
            for account_id, event in several:
                figures[account_id] = with_entry(figures.get(account_id, NO_ENTRIES), event)
        await _write(connection, slot, figures)

    async def take_from_books(
        self, connection: "Connection", slot: int, dropped: DroppedEvents, after: Place | None
    ) -> Place | None:
        """The figures of the next accounts as their entries without an event leave them."""
        places = await connection.fetch(_NEXT_ACCOUNTS, dropped.books_until, *(after or (None, None)), ACCOUNTS_AT_ONCE)
        if not places:
            return None
        await connection.execute(f"SET LOCAL statement_timeout = '{BOOKS_SECONDS}s'")
        account_ids = [row["id"] for row in places]
        rows = await connection.fetch(_WITHOUT_EVENT, account_ids, dropped.starts_after, timeout=BOOKS_SECONDS)
        await _write(
            connection, slot, {AccountId(row["account_id"]): dataclass_of(AccountStatistics, row) for row in rows}
        )
        return places[-1]["created_at"], places[-1]["id"]


async def _write(connection: "Connection", slot: int, figures: Mapping[AccountId, AccountStatistics]) -> None:
    if not figures:
        return
    rows = [
        {name: getattr(found, name) for name in AccountStatistics.__slots__} | {"slot": slot, "account_id": account_id}
        for account_id, found in figures.items()
    ]
    await connection.execute(_WRITE, orjson.dumps(rows).decode())
