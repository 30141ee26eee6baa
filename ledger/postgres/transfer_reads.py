"""Transfers as their customers see them. Nothing here locks or writes.

Every read takes the reader's id and filters by it in SQL: what belongs to somebody else does not exist.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from database.connections import Database
from ledger.accounts import Account
from ledger.ids import AccountId, CustomerId, PostingId, TransferId
from ledger.postgres.rows import ACCOUNT_COLUMNS, FIND_BY_TRANSACTION_ID, TRANSFER_COLUMNS, account_of, transfer_of
from ledger.transfers import Attempt, Failure, Leg, State, Transfer, TransferOrder

if TYPE_CHECKING:
    from database.connections import Connection


@dataclass(frozen=True, slots=True)
class ReceiptPosting:
    """One posting of a transfer, as its receipt names it."""

    id: PostingId
    leg: Leg
    amount_minor: int
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class Intake:
    """What must be known before a request to move money is accepted, in one read.

    `account` is the customer's own account that it names. `by_key` is the transfer that its key names, and
    `key_fingerprint` belongs to the request that used the key first. `by_transaction_id` is the transfer that has its
    `transaction_id` in that account.
    """

    account: Account | None
    by_key: Transfer | None
    key_fingerprint: str | None
    by_transaction_id: Transfer | None


@dataclass(frozen=True, slots=True)
class TransferFilter:
    """Which of an owner's transfers a list holds; `before` is the creation time and id of the last one seen."""

    account_id: AccountId | None = None
    state: State | None = None
    before: tuple[datetime, TransferId] | None = None


_INTAKE = f"""
    SELECT {TRANSFER_COLUMNS}, {ACCOUNT_COLUMNS}, k.fingerprint AS key_fingerprint
    FROM (SELECT) one
    LEFT JOIN keys k ON k.owner_id = $1 AND k.idempotency_key = $2
    LEFT JOIN transfers t ON t.id = k.transfer_id
    LEFT JOIN accounts a ON a.id = $3 AND a.owner_id = $1
"""

# Mine is what I asked for, and what moved money of mine: a payee sees a transfer once it is theirs, and also sees
# money of theirs leave at somebody else's request (staff's reversals: no other transfer leaves another's account).
VISIBLE = """
    (t.owner_id = $1
        OR (t.state = 'completed' AND t.destination_account_id IN (SELECT id FROM accounts WHERE owner_id = $1))
        OR (t.state IN ('debited', 'completed', 'compensated')
            AND t.source_account_id IN (SELECT id FROM accounts WHERE owner_id = $1)))
"""

_TRANSFER = f"SELECT {TRANSFER_COLUMNS} FROM transfers t WHERE t.id = $2 AND {VISIBLE}"

_TRANSFERS = f"""
    SELECT {TRANSFER_COLUMNS} FROM transfers t
    WHERE {VISIBLE}
        AND (t.source_account_id = ANY ($2::text[]) OR t.destination_account_id = ANY ($2::text[]))
        AND ($3::text IS NULL OR t.state = $3)
        AND ($4::timestamptz IS NULL OR (t.created_at, t.id) < ($4, $5))
    ORDER BY t.created_at DESC, t.id DESC LIMIT $6
"""

_POSTINGS = """
    SELECT id, leg, amount_minor, recorded_at FROM postings WHERE transfer_id = $1 ORDER BY recorded_at, leg DESC
"""

_EARLIER_ATTEMPTS = """
    SELECT attempt, state, failure_code, failure_message, workflow_id, ended_at
    FROM attempts WHERE transfer_id = $1 ORDER BY attempt
"""

_ACCOUNT_IDS = "SELECT id FROM accounts WHERE owner_id = $1"

_UNFINISHED = f"""
    SELECT {TRANSFER_COLUMNS} FROM transfers t
    WHERE state IN ('initiated', 'in_review', 'debited')
        AND (state = 'debited') = $2
        AND updated_at <= clock_timestamp() - make_interval(secs => $1)
        AND ($3::timestamptz IS NULL OR (created_at, id) > ($3, $4))
    ORDER BY created_at, id LIMIT 1000
"""

_HAS_NOT_MOVED = "SELECT 1 FROM transfers WHERE id = $1 AND attempt = $2 AND state = $3"


async def attempts_before(connection: "Connection", transfer_id: TransferId) -> list[Attempt]:
    """How the attempts before the current one ended, oldest first."""
    return [
        Attempt(
            attempt=row["attempt"],
            state=State(row["state"]),
            failure=Failure(row["failure_code"], row["failure_message"]) if row["failure_code"] else None,
            workflow_id=row["workflow_id"],
            ended_at=row["ended_at"],
        )
        for row in await connection.fetch(_EARLIER_ATTEMPTS, transfer_id)
    ]


class TransferReads:
    """All raise `Unavailable` where PostgreSQL gave no answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def intake(self, owner_id: CustomerId, key: str, account_id: AccountId, transaction_id: str | None) -> Intake:
        """What is known of a request before it is accepted: one round trip, two with a `transaction_id`."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(_INTAKE, owner_id, key, account_id)
            assert row is not None
            first = None
            if transaction_id is not None:
                first = await connection.fetchrow(FIND_BY_TRANSACTION_ID, account_id, transaction_id)
        return Intake(
            account=account_of(row) if row["a_id"] else None,
            by_key=transfer_of(row) if row["t_id"] else None,
            key_fingerprint=row["key_fingerprint"],
            by_transaction_id=transfer_of(first) if first else None,
        )

    async def visible(self, customer_id: CustomerId, transfer_id: TransferId) -> Transfer | None:
        """The transfer, if this customer asked for it or was paid by it."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(_TRANSFER, customer_id, transfer_id)
        return transfer_of(row) if row else None

    async def find(self, customer_id: CustomerId, wanted: TransferFilter, limit: int) -> list[Transfer]:
        """The customer's transfers, newest first; of one account where the filter names one."""
        created_at, transfer_id = wanted.before or (None, None)
        async with self._database.connection() as connection:
            own = [row["id"] for row in await connection.fetch(_ACCOUNT_IDS, customer_id)]
            ids = [id_ for id_ in own if wanted.account_id in (None, id_)]
            rows = await connection.fetch(_TRANSFERS, customer_id, ids, wanted.state, created_at, transfer_id, limit)
        return [transfer_of(row) for row in rows]

    async def postings(self, transfer_id: TransferId) -> list[ReceiptPosting]:
        """A transfer's postings, oldest first. The caller has checked whose transfer it is."""
        async with self._database.connection() as connection:
            return [ReceiptPosting(**dict(row)) for row in await connection.fetch(_POSTINGS, transfer_id)]

    async def earlier_attempts(self, transfer_id: TransferId) -> list[Attempt]:
        """How the attempts before the current one ended, oldest first. The caller has checked whose transfer it is."""
        async with self._database.connection() as connection:
            return await attempts_before(connection, transfer_id)


class Unfinished:
    """Reads only. Raises `Unavailable` where PostgreSQL gave no answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def transfers(self, older_than_seconds: int) -> AsyncIterator[tuple[TransferOrder, State]]:
        """Transfers that are not final and have not changed for so long: all of them, page by page.

        Those in transit come first, and the oldest first among them and among the others.
        """
        for in_transit in (True, False):
            after: tuple[datetime, TransferId] | tuple[None, None] = (None, None)
            while True:
                async with self._database.connection() as connection:
                    rows = await connection.fetch(_UNFINISHED, older_than_seconds, in_transit, *after)
                if not rows:
                    break
                for transfer in map(transfer_of, rows):
                    yield transfer.order, transfer.state
                    after = (transfer.created_at, transfer.id)

    async def has_not_moved(self, order: TransferOrder, state: State) -> bool:
        """Whether the transfer is still in this state, and in this order's attempt."""
        async with self._database.connection() as connection:
            return await connection.fetchrow(_HAS_NOT_MOVED, order.transfer_id, order.attempt, state) is not None
