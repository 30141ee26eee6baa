"""Who holds the rows that a transfer's step waits for. Reads only, and waits for no lock."""

from collections.abc import Sequence
from dataclasses import dataclass

from database.connections import Database
from database.rows import dataclass_of
from ledger.ids import AccountId


@dataclass(frozen=True, slots=True)
class RowHolder:
    """A session that has locked an account's row; `waiting` sessions wait for it.

    `seconds`, `activity` and `address` are None where the service's login may not read them (`pg_read_all_stats`).
    """

    account_id: AccountId
    pid: int
    login: str
    application: str
    address: str | None
    activity: str | None
    seconds: int | None
    waiting: int


# A row's `xmax` is the transaction that has locked it, or the number of a group of them: while it runs, its session
# holds the lock on its own number. Steps and API lock rows for milliseconds: whoever is found twice is somebody else.
_HOLDERS = """
    WITH marked AS (
        SELECT id, xmax FROM accounts WHERE id = ANY ($1::text[]) AND xmax <> '0'::xid
    ), held AS (
        SELECT m.id, l.pid FROM marked m JOIN pg_locks l
            ON l.locktype = 'transactionid' AND l.granted AND l.transactionid = m.xmax
        UNION
        SELECT m.id, blocker.pid FROM marked m
            JOIN accounts a ON a.id = m.id
            JOIN pg_locks l ON l.locktype = 'tuple' AND l.relation = 'accounts'::regclass AND l.granted
                AND format('(%s,%s)', l.page, l.tuple)::tid = a.ctid
            CROSS JOIN unnest(pg_blocking_pids(l.pid)) AS blocker (pid)
    )
    SELECT h.id AS account_id, h.pid, coalesce(s.usename, '') AS login, s.application_name AS application,
        host(s.client_addr) AS address, s.state AS activity,
        extract(epoch FROM clock_timestamp() - s.xact_start)::bigint AS seconds,
        (SELECT count(DISTINCT w.pid) FROM pg_locks w
            WHERE NOT w.granted AND h.pid = ANY (pg_blocking_pids(w.pid))) AS waiting
    FROM held h JOIN pg_stat_activity s ON s.pid = h.pid
    WHERE h.pid <> pg_backend_pid()
    ORDER BY seconds DESC NULLS LAST, h.pid LIMIT 20
"""


class RowHolders:
    """Raises `Unavailable` where PostgreSQL gave no answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, account_ids: Sequence[AccountId]) -> list[RowHolder]:
        """The sessions that hold these accounts' rows at this moment, the longest first."""
        async with self._database.connection() as connection:
            return [dataclass_of(RowHolder, row) for row in await connection.fetch(_HOLDERS, list(account_ids))]
