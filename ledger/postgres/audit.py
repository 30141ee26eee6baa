"""Proof of the books: checks the invariants of `invariants.sql` and reads the totals, in one snapshot."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg

from database.connections import Database, NoSchema, Unavailable
from ledger.fingerprints import FingerprintKeyMissing, Fingerprints, TransferAltered
from ledger.postgres.rows import TRANSFER_COLUMNS, transfer_of

if TYPE_CHECKING:
    from database.connections import Connection

INVARIANTS_SQL = (Path(__file__).parent / "invariants.sql").read_text()

# The audit hashes every entry again: that takes minutes, not seconds as a step does.
AUDIT_TIMEOUT_SECONDS = 900

# The totals add up every posting.
TOTALS_TIMEOUT_SECONDS = 60

_TOTALS = """
    WITH system AS (
        SELECT currency,
            coalesce(sum(amount_minor) FILTER (WHERE credit_account_id = 'clearing'), 0)
                - coalesce(sum(amount_minor) FILTER (WHERE debit_account_id = 'clearing'), 0) AS in_transit,
            coalesce(sum(amount_minor) FILTER (WHERE credit_account_id = 'world'), 0)
                - coalesce(sum(amount_minor) FILTER (WHERE debit_account_id = 'world'), 0) AS world
        FROM postings GROUP BY currency
    ),
    customers AS (
        SELECT currency, count(*) AS accounts, sum(balance_minor) AS customers, sum(version) AS entries
        FROM accounts GROUP BY currency
    )
    SELECT currency, coalesce(accounts, 0) AS accounts, coalesce(entries, 0)::bigint AS entries,
        coalesce(customers, 0)::bigint AS customers_minor, coalesce(in_transit, 0)::bigint AS in_transit_minor,
        coalesce(world, 0)::bigint AS world_minor
    FROM customers FULL JOIN system USING (currency) ORDER BY currency
"""

_ORDERS = f"SELECT {TRANSFER_COLUMNS} FROM transfers t"

# Other requests of this process have their turn after so many orders: about 10 ms.
ORDERS_AT_ONCE = 500

_BY_STATE = "SELECT state, count(*) AS transfers FROM transfers GROUP BY state"


@dataclass(frozen=True, slots=True)
class Broken:
    """A violation: the invariant, the account or transfer, and what was found."""

    invariant: str
    subject: str
    detail: str


@dataclass(frozen=True, slots=True)
class Totals:
    """The books of one currency, in minor units. `customers + in_transit + world` is zero where the books are clean."""

    currency: str
    accounts: int
    entries: int
    customers_minor: int
    in_transit_minor: int
    world_minor: int


@dataclass(frozen=True, slots=True)
class Audit:
    """The result of an audit. Clean books have nothing in `broken`."""

    broken: list[Broken]
    totals: list[Totals]
    transfers_by_state: dict[str, int]
    fingerprints_checked: bool

    @property
    def clean(self) -> bool:
        """Whether every invariant holds."""
        return not self.broken


async def audit(database: Database, fingerprints: Fingerprints | None = None) -> Audit:
    """Check every invariant over the whole books. Reads only, takes no lock, and grows with the number of entries.

    Without `fingerprints` it cannot tell whether an order is the one that was accepted. Raises `NoSchema` if the tables
    that this version reads are missing.
    """
    with _readable():
        async with (
            database.connection() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            await connection.execute(f"SET LOCAL statement_timeout = '{AUDIT_TIMEOUT_SECONDS}s'")
            rows = await connection.fetch(INVARIANTS_SQL, timeout=AUDIT_TIMEOUT_SECONDS)
            broken = [Broken(**dict(row)) for row in rows]
            if fingerprints is not None:
                broken += [each async for each in _altered_orders(connection, fingerprints)]
            totals = await connection.fetch(_TOTALS, timeout=AUDIT_TIMEOUT_SECONDS)
            states = await connection.fetch(_BY_STATE, timeout=AUDIT_TIMEOUT_SECONDS)
    return Audit(
        broken=broken,
        totals=[Totals(**dict(row)) for row in totals],
        transfers_by_state={row["state"]: row["transfers"] for row in states},
        fingerprints_checked=fingerprints is not None,
    )


async def _altered_orders(connection: "Connection", fingerprints: Fingerprints) -> AsyncIterator[Broken]:
    """Transfers whose row is not the order that was accepted. Not in SQL: the keys never go to the database."""
    async for row in connection.cursor(_ORDERS, prefetch=ORDERS_AT_ONCE):
        transfer = transfer_of(row)
        try:
            fingerprints.check_row(transfer)
        except (TransferAltered, FingerprintKeyMissing) as error:
            yield Broken("order_as_accepted", transfer.id, str(error))


@contextmanager
def _readable() -> Iterator[None]:
    """Books that cannot be read may be correct, so a failed read raises `Unavailable` and is no violation."""
    try:
        yield
    except (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError, asyncpg.UndefinedFunctionError) as error:
        raise NoSchema(
            f"The database does not have the schema of this version ({error}): run `remit migrate`."
        ) from error
    except asyncpg.InsufficientPrivilegeError as error:
        raise Unavailable(f"The role may not read the books: {error}.") from error


async def totals(database: Database) -> list[Totals]:
    """The totals per currency. One statement, so one snapshot; takes no lock."""
    async with database.transaction() as connection:
        await connection.execute(f"SET LOCAL statement_timeout = '{TOTALS_TIMEOUT_SECONDS}s'")
        rows = await connection.fetch(_TOTALS, timeout=TOTALS_TIMEOUT_SECONDS)
    return [Totals(**dict(row)) for row in rows]
