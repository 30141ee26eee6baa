"""One audit: walks over the books in parts, each a statement of its own and so a short snapshot of its own.

A posting, its entry, the balance and the transfer's state are written in one transaction. So each part is whole in any
snapshot, and parts of different snapshots need not agree with each other.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ledger.fingerprints import FingerprintKeyMissing, Fingerprints, TransferAltered
from ledger.postgres.proof import sections
from ledger.postgres.proof.other_parts import other_parts
from ledger.postgres.proof.running_totals import settle_once
from ledger.postgres.proof.snapshots import take_snapshots
from ledger.postgres.rows import TRANSFER_COLUMNS, transfer_of

if TYPE_CHECKING:
    from database.connections import Connection

# One part holds about so many rows: some tenths of a second, and some megabytes of PostgreSQL's memory.
ENTRIES_AT_ONCE = 20_000
TRANSFERS_AT_ONCE = 2_000
ACCOUNTS_AT_ONCE = 5_000
SPENDERS_AT_ONCE = 200
TRANSFERS_COUNTED_AT_ONCE = 50_000

# Other requests of this process have their turn after so many orders: about 10 ms.
ORDERS_AT_ONCE = 500

# Far more than a part takes. Every statement has it as its own limit: a pool's shorter one would count a slow part as a
# dead server, and end connections that payments use. Only the sum of all balances and the disputes grow with the books.
STATEMENT_SECONDS = 300

# An audit that has found so much stops: the books need a person, and a list without end helps nobody.
MOST_FINDINGS = 1_000

# Before and after every time that a row may have.
BEGINNING = datetime(1, 1, 2, tzinfo=UTC)
END = datetime(9999, 12, 30, tzinfo=UTC)

_PLACE = """
    SELECT clock_timestamp() AS began, pg_is_in_recovery() AS is_standby, p.counted_until, p.settled_until,
        (SELECT max(audited_until) FROM audits WHERE findings = 0) AS audited_until,
        (SELECT findings > 0 FROM audits WHERE is_full ORDER BY id DESC LIMIT 1) AS full_one_found_something,
        (SELECT jsonb_agg(s) FROM settled_totals s) AS kept
    FROM totals_position p
"""

_COUNT_ACCOUNTS = "SELECT count(*) FROM accounts"
_LAST_ACCOUNT = "SELECT id FROM accounts WHERE id > $1 ORDER BY id OFFSET $2 LIMIT 1"
_LAST_TRANSFER = "SELECT created_at FROM transfers WHERE created_at > $1 ORDER BY created_at OFFSET $2 LIMIT 1"

# A head without its account, in either kind of audit.
_LOST = """
    SELECT h.account_id AS id, h.version AS since, h.version AS version FROM audited_heads h
    WHERE h.account_id > $1 AND ($2::text IS NULL OR h.account_id <= $2)
        AND NOT EXISTS (SELECT FROM accounts a WHERE a.id = h.account_id)
"""

# Accounts that are not as their verified head has them. One whose head is not among its entries any more is looked at
# from its first entry on, to see where that begins.
_CHANGED_ACCOUNTS = f"""
    SELECT a.id,
        CASE WHEN (k.balance_after, k.hash) IS DISTINCT FROM (h.balance_minor, h.hash) THEN 0
            ELSE coalesce(h.version, 0) END AS since,
        coalesce((SELECT max(e.version) FROM entries e WHERE e.account_id = a.id), 0) AS version
    FROM accounts a
    LEFT JOIN audited_heads h ON h.account_id = a.id
    LEFT JOIN entries k ON (k.account_id, k.version) = (h.account_id, h.version)
    WHERE a.id > $1 AND ($2::text IS NULL OR a.id <= $2) AND (
        (a.version, a.balance_minor) <> (coalesce(h.version, 0), coalesce(h.balance_minor, 0))
        OR a.head_hash <> coalesce(h.hash, sha256(convert_to(a.id, 'UTF8')))
        OR (a.spent_on, a.spent_day_minor, a.spent_month_minor) IS DISTINCT FROM
            (h.spent_on, coalesce(h.spent_day_minor, 0), coalesce(h.spent_month_minor, 0))
        OR (k.balance_after, k.hash) IS DISTINCT FROM (h.balance_minor, h.hash)
        OR EXISTS (SELECT FROM entries e WHERE e.account_id = a.id AND e.version > a.version)
    )
    UNION ALL {_LOST} ORDER BY 1
"""

# Every account, and every one that has entries: the two are the same in books that nobody has tampered with.
_ALL_ACCOUNTS = f"""
    SELECT id, 0::bigint AS since, coalesce(newest, 0) AS version
    FROM (SELECT id FROM accounts WHERE id > $1 AND ($2::text IS NULL OR id <= $2)) a
    FULL JOIN (
        SELECT account_id AS id, max(version) AS newest FROM entries
        WHERE account_id > $1 AND ($2::text IS NULL OR account_id <= $2) GROUP BY account_id
    ) e USING (id)
    UNION ALL {_LOST} ORDER BY 1
"""

# Where the next part of an account begins. Versions may be missing: then before the one that is due next, so that the
# part has a finding, and no part is empty however many are missing.
_NEXT_START = "SELECT greatest($2::bigint, min(version) - 2) FROM entries WHERE account_id = $1 AND version > $2"

_ADVANCE = "SELECT advance_heads($1, $2)"
_NOTE_SPENDING = "SELECT note_spending($1)"

_NOT_FINAL = """
    SELECT id FROM transfers WHERE state IN ('initiated', 'in_review', 'debited') AND created_at <= $1
    ORDER BY created_at
"""

_ORDERS_OF_PERIOD = f"SELECT {TRANSFER_COLUMNS} FROM transfers t WHERE t.created_at > $1 AND t.created_at <= $2"
_ORDERS_BY_ID = f"SELECT {TRANSFER_COLUMNS} FROM transfers t WHERE t.id = ANY ($1::text[])"

_TOTALS_BETWEEN = "SELECT jsonb_agg(t) FROM totals_between($1, $2) t"
_RECORD = "INSERT INTO audits (is_full, began_at, findings, audited_until) VALUES ($1, $2, $3, $4)"

Finding = tuple[str, str, str]

# Told how many accounts an audit has looked at, and how many there are.
Note = Callable[[int, int], Awaitable[None]]


class _EnoughFound(Exception):
    """There are `MOST_FINDINGS`: stop."""


@dataclass(frozen=True, slots=True)
class _Account:
    """An account to look at, from the entry after `since` to its newest one."""

    id: str
    since: int
    version: int

    @property
    def entries(self) -> int:
        return max(0, self.version - self.since)


class Auditor:
    """Looks for what does not hold. One audit at a time; the caller sees to that."""

    def __init__(
        self, connection: "Connection", fingerprints: Fingerprints | None, *, full: bool, note: Note | None = None
    ) -> None:
        """`full`: from the first entry on, whatever earlier audits verified. After a full one with findings, always.

        `note` is told how far it is with the accounts.
        """
        self._note = note
        self._connection = connection
        self._fingerprints = fingerprints
        self._full = full
        self._found: set[Finding] = set()
        self._unclean: set[str] = set()
        self.since: datetime | None = None

    async def findings(self) -> list[Finding]:
        """All that does not hold, in order. What was found clean is remembered for the next audit."""
        place = await self._connection.fetchrow(_PLACE, timeout=STATEMENT_SECONDS)
        assert place is not None, "the migration wrote it"
        if not place["is_standby"]:
            while await settle_once(self._connection, within_seconds=STATEMENT_SECONDS):
                pass
        # What only a full audit can find is found again until it is mended.
        self._full = self._full or bool(place["full_one_found_something"])
        if not self._full and place["audited_until"] is not None and place["audited_until"] > BEGINNING:
            self.since = place["audited_until"]
        try:
            await self._accounts(is_standby=place["is_standby"])
            await self._transfers(self.since or BEGINNING, place["began"])
            await self._check(sections.DISPUTES)
            async for section, values in other_parts(self._connection, self.since, limit_seconds=STATEMENT_SECONDS):
                await self._check(section, *values)
            await self._check(sections.BOOKS)
            if self._full:
                await self._count_again(place["counted_until"], place["kept"])
        except _EnoughFound:
            pass
        # What was found clean without keys is not yet clean: the next audit with keys has to look at those orders.
        if not place["is_standby"] and (self._found or self._fingerprints is not None):
            until = min(place["settled_until"], place["began"])
            values = (self._full, place["began"], len(self._found), until)
            await self._connection.execute(_RECORD, *values, timeout=STATEMENT_SECONDS)
        return sorted(self._found)

    async def _one(self, statement: str, *values: object) -> Any:
        return await self._connection.fetchval(statement, *values, timeout=STATEMENT_SECONDS)

    async def _check(self, section: str, *values: object) -> bool:
        """Whether this part of the books is clean."""
        rows = await self._connection.fetch(section, *values, timeout=STATEMENT_SECONDS)
        self._found.update((row["invariant"], row["subject"], row["detail"]) for row in rows)
        if len(self._found) >= MOST_FINDINGS:
            raise _EnoughFound
        return not rows

    # Accounts: each entry follows from the one before, and the last one is the balance.

    async def _accounts(self, *, is_standby: bool) -> None:
        total = int(await self._one(_COUNT_ACCOUNTS)) if self._note else 0
        done = 0
        async for page in self._pages():
            if self._note:
                await self._note(min(done, total), total)
            done += ACCOUNTS_AT_ONCE
            async for accounts in self._parts(page):
                ids = [one.id for one in accounts]
                if not is_standby:
                    await take_snapshots(self._connection, ids, within_seconds=STATEMENT_SECONDS)
                is_clean = await self._check(sections.ACCOUNTS, ids, [one.since for one in accounts], ENTRIES_AT_ONCE)
                if not is_clean:
                    self._unclean.update(ids)
                # A head never passes what is not clean. Asked to, the database would read from there on for each part.
                elif not is_standby and self._unclean.isdisjoint(ids):
                    versions = [one.version for one in accounts]
                    await self._connection.execute(_ADVANCE, ids, versions, timeout=STATEMENT_SECONDS)
            await self._spending([one.id for one in page], is_standby=is_standby)
        if self._note:
            await self._note(total, total)

    async def _spending(self, ids: Sequence[str], *, is_standby: bool) -> None:
        """What the accounts have sent, counted again from the entries of the month."""
        for first in range(0, len(ids), SPENDERS_AT_ONCE):
            some = ids[first : first + SPENDERS_AT_ONCE]
            if await self._check(sections.SPENT, some) and not is_standby:
                await self._connection.execute(_NOTE_SPENDING, some, timeout=STATEMENT_SECONDS)

    async def _parts(self, page: Sequence[_Account]) -> AsyncIterator[list[_Account]]:
        """The accounts in parts whose entries together are about `ENTRIES_AT_ONCE`; a larger one in several parts."""
        for accounts in _together(page):
            yield accounts
        for large in (one for one in page if one.entries > ENTRIES_AT_ONCE):
            since = large.since
            while since < large.version:
                upto = min(since + ENTRIES_AT_ONCE, large.version)
                yield [_Account(large.id, since, upto)]
                since = await self._one(_NEXT_START, large.id, upto)

    async def _pages(self) -> AsyncIterator[list[_Account]]:
        listed = _ALL_ACCOUNTS if self._full else _CHANGED_ACCOUNTS
        after: str | None = ""
        while after is not None:
            last = await self._one(_LAST_ACCOUNT, after, ACCOUNTS_AT_ONCE - 1)
            rows = await self._connection.fetch(listed, after, last, timeout=STATEMENT_SECONDS)
            yield [_Account(row["id"], row["since"], row["version"]) for row in rows]
            after = last

    # Transfers: what each posted is what its state says.

    async def _transfers(self, since: datetime, began: datetime) -> None:
        """Those that were opened, posted or named since then, and older ones that are not final."""
        after = since
        while after < began:
            last = await self._one(_LAST_TRANSFER, after, TRANSFERS_AT_ONCE - 1) or END
            await self._check(sections.TRANSFERS_OF_PERIOD, after, last)
            await self._check_orders(_ORDERS_OF_PERIOD, after, last)
            after = last
        rows = await self._connection.fetch(_NOT_FINAL, since, timeout=STATEMENT_SECONDS)
        older = [row["id"] for row in rows]
        for first in range(0, len(older), TRANSFERS_AT_ONCE):
            await self._check(sections.TRANSFERS_BY_ID, older[first : first + TRANSFERS_AT_ONCE])
            await self._check_orders(_ORDERS_BY_ID, older[first : first + TRANSFERS_AT_ONCE])

    async def _check_orders(self, orders: str, *values: object) -> None:
        """Look for rows that are not the order that was accepted. Not in SQL: the keys never go to the database."""
        if self._fingerprints is None:
            return
        for number, row in enumerate(await self._connection.fetch(orders, *values, timeout=STATEMENT_SECONDS)):
            transfer = transfer_of(row)
            try:
                self._fingerprints.check_row(transfer)
            except (TransferAltered, FingerprintKeyMissing) as error:
                self._found.add(("order_as_accepted", transfer.id, str(error)))
            if number % ORDERS_AT_ONCE == 0:
                await asyncio.sleep(0)
        if len(self._found) >= MOST_FINDINGS:
            raise _EnoughFound

    # Running totals: adding up all postings gives the same.

    async def _count_again(self, until: datetime, kept: str | None) -> None:
        counted: dict[str, dict[str, int]] = {}
        after = BEGINNING
        while after < until:
            last = await self._one(_LAST_TRANSFER, after, TRANSFERS_COUNTED_AT_ONCE - 1)
            last = min(last or until, until)
            for part in json.loads(await self._one(_TOTALS_BETWEEN, after, last) or "[]"):
                totals = counted.setdefault(part.pop("currency"), dict.fromkeys(part, 0))
                for name, amount in part.items():
                    totals[name] += amount
            after = last
        again = [{"currency": currency, **totals} for currency, totals in counted.items()]
        await self._check(sections.TOTALS, kept or "[]", json.dumps(again))


def _together(accounts: Sequence[_Account]) -> Iterator[list[_Account]]:
    """The accounts that are not too large for it, in groups."""
    group: list[_Account] = []
    entries = 0
    for account in accounts:
        if account.entries > ENTRIES_AT_ONCE:
            continue
        if group and entries + account.entries > ENTRIES_AT_ONCE:
            yield group
            group, entries = [], 0
        group.append(account)
        entries += account.entries
    if group:
        yield group
