"""Transfers as their customers see them, and those that recovery drives on. Nothing here locks or writes.

Reads for a customer take the reader's id and filter by it in SQL: what belongs to somebody else does not exist.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Interval,
    Select,
    Text,
    all_,
    and_,
    bindparam,
    exists,
    func,
    or_,
    select,
    tuple_,
)

from database.connections import Database
from database.paging import Page, Place, fetch_page, newest_of
from database.rows import columns_for, dataclass_of
from database.statements import fetch, fetch_first, fetch_value, one_of
from ledger.accounts import Account
from ledger.ids import AccountId, CustomerId, PostingId, TransferId
from ledger.postgres.rows import (
    ACCOUNT_COLUMNS,
    FIND_BY_TRANSACTION_ID,
    TRANSFER,
    TRANSFER_COLUMNS,
    TRANSFER_WITH_PARTIES,
    account_of,
    failure_of,
    transfer_of,
    transfer_with_parties_of,
)
from ledger.postgres.tables import NOT_FINAL, accounts, attempts, postings, transfers
from ledger.transfers import Attempt, Kind, Leg, State, Transfer, TransferOrder

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

    `account` is the customer's own account that it names. `by_key` is the transfer that its key names.
    `by_transaction_id` is the transfer that holds its `transaction_id` in that account. `has_answer`: its key was used
    for a request that moves no money (`database/answers.py`).
    """

    account: Account | None
    by_key: Transfer | None
    by_transaction_id: Transfer | None
    has_answer: bool = False


@dataclass(frozen=True, slots=True)
class TransferFilter:
    """Which of an owner's transfers a list holds; `before` is creation time and id of the last transfer read."""

    account_id: AccountId | None = None
    state: State | None = None
    before: Place | None = None
    kind: Kind | None = None
    least_minor: int | None = None
    most_minor: int | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    transaction_id: str | None = None

    @property
    def values(self) -> dict[str, object]:
        """The conditions that apply beside accounts, state and kind, each with its value."""
        found = {name: getattr(self, name) for name in _CONDITIONS}
        return {name: value for name, value in found.items() if value is not None}


_INTAKE = f"""
    SELECT {TRANSFER_COLUMNS}, {ACCOUNT_COLUMNS}, k.owner_id IS NOT NULL AND k.transfer_id IS NULL AS has_answer
    FROM (SELECT) one
    LEFT JOIN keys k ON k.owner_id = $1 AND k.idempotency_key = $2
    LEFT JOIN transfers t ON t.id = k.transfer_id
    LEFT JOIN accounts a ON a.id = $3 AND a.owner_id = $1
"""


def visible_to(reader_id: ColumnElement[str]) -> ColumnElement[bool]:
    """Which transfers a customer sees: what they asked for, and what moved money of theirs.

    A payee sees a transfer once it is theirs. Money leaves somebody's account at another's request only when staff
    reverse a transfer: then the owner sees it from the debit on.
    """
    own = select(accounts.c.id).where(accounts.c.owner_id == reader_id)
    moved = (State.DEBITED, State.COMPLETED, State.COMPENSATED)
    return or_(
        transfers.c.owner_id == reader_id,
        and_(transfers.c.state == State.COMPLETED, transfers.c.destination_account_id.in_(own)),
        and_(one_of(transfers.c.state, moved), transfers.c.source_account_id.in_(own)),
    )


_VISIBLE = visible_to(bindparam("reader_id", type_=Text))
_TRANSFER = select(*TRANSFER_WITH_PARTIES).where(transfers.c.id == bindparam("transfer_id"), _VISIBLE)


_CONDITIONS: Mapping[str, ColumnElement[bool]] = {
    "least_minor": transfers.c.amount_minor >= bindparam("least_minor"),
    "most_minor": transfers.c.amount_minor <= bindparam("most_minor"),
    "created_after": transfers.c.created_at >= bindparam("created_after"),
    "created_before": transfers.c.created_at < bindparam("created_before"),
    "transaction_id": transfers.c.transaction_id == bindparam("transaction_id"),
}


@lru_cache(maxsize=256)
def _of_accounts(
    accounts_listed: int, state: State | None, kind: Kind | None, conditions: tuple[str, ...], *, behind: bool
) -> Select[Any]:
    """The list of a customer's transfers: for each account what left it, and what reached it from elsewhere.

    Cached, so that it is compiled only once. State and kind are constants in it, for the sake of partial indexes.
    """
    listed = select(*TRANSFER_WITH_PARTIES).where(_VISIBLE, *(_CONDITIONS[name] for name in conditions))
    if state is not None:
        listed = listed.where(one_of(transfers.c.state, [state]))
    if kind is not None:
        listed = listed.where(one_of(transfers.c.kind, [kind]))
    elsewhere = transfers.c.source_account_id != all_(bindparam("account_ids", type_=ARRAY(Text)))
    own = [bindparam(_account(number), type_=Text) for number in range(accounts_listed)]
    left = [listed.where(transfers.c.source_account_id == account_id) for account_id in own]
    reached = [listed.where(transfers.c.destination_account_id == account_id, elsewhere) for account_id in own]
    return newest_of([*left, *reached], transfers.c.created_at, transfers.c.id, behind=behind)


def _account(number: int) -> str:
    return f"account_{number}"


_ACCOUNT_IDS = select(accounts.c.id).where(accounts.c.owner_id == bindparam("owner_id"))

_POSTINGS = (
    select(*columns_for(ReceiptPosting, postings))
    .where(postings.c.transfer_id == bindparam("transfer_id"))
    .order_by(postings.c.recorded_at, postings.c.leg.desc())
)

_EARLIER_ATTEMPTS = (
    select(attempts).where(attempts.c.transfer_id == bindparam("transfer_id")).order_by(attempts.c.attempt)
)

_UNCHANGED = and_(NOT_FINAL, transfers.c.updated_at <= func.now() - bindparam("unchanged_for", type_=Interval))

_HAS_NOT_MOVED = select(
    exists().where(
        transfers.c.id == bindparam("transfer_id"),
        transfers.c.attempt == bindparam("attempt"),
        transfers.c.state == bindparam("state"),
    )
)

# How many unfinished transfers recovery reads at once.
_AT_ONCE = 1000


async def attempts_before(connection: "Connection", transfer_id: TransferId) -> list[Attempt]:
    """How the attempts before the current one ended, oldest first."""
    return [
        dataclass_of(Attempt, row, failure=failure_of(row))
        for row in await fetch(connection, _EARLIER_ATTEMPTS, transfer_id=transfer_id)
    ]


class TransferReads:
    """All raise `Unavailable` where PostgreSQL gave no answer."""

    def __init__(self, database: Database, reports: Database | None = None) -> None:
        """`reports` are the connections that lists are read on, so that many lists leave the others to payments."""
        self._database = database
        self._reports = reports or database

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
            by_transaction_id=transfer_of(first) if first else None,
            has_answer=row["has_answer"],
        )

    async def in_flight(self, owner_id: CustomerId, most: int) -> int:
        """How many transfers of this customer have not ended, counted up to `most`."""
        counted = select(transfers.c.id).where(transfers.c.owner_id == owner_id, NOT_FINAL).limit(most).subquery()
        async with self._database.connection() as connection:
            return int(await fetch_value(connection, select(func.count()).select_from(counted)))

    async def visible(self, customer_id: CustomerId, transfer_id: TransferId) -> Transfer | None:
        """The transfer, if this customer may see it."""
        async with self._database.connection() as connection:
            row = await fetch_first(connection, _TRANSFER, reader_id=customer_id, transfer_id=transfer_id)
        return transfer_with_parties_of(row) if row else None

    async def find(self, customer_id: CustomerId, wanted: TransferFilter, limit: int) -> Page[Transfer]:
        """The customer's transfers, newest first; of one account where the filter names one."""
        values = wanted.values
        async with self._reports.connection() as connection:
            own = [row["id"] for row in await fetch(connection, _ACCOUNT_IDS, owner_id=customer_id)]
            listed = [id_ for id_ in own if wanted.account_id in (None, id_)]
            if not listed:
                return Page([], has_more=False)
            statement = _of_accounts(
                len(listed), wanted.state, wanted.kind, tuple(values), behind=wanted.before is not None
            )
            values |= {"reader_id": customer_id, "account_ids": listed}
            values |= {_account(number): id_ for number, id_ in enumerate(listed)}
            return await fetch_page(connection, statement, limit, transfer_with_parties_of, wanted.before, **values)

    async def postings(self, transfer_id: TransferId) -> list[ReceiptPosting]:
        """A transfer's postings, oldest first. The caller has checked whose transfer it is."""
        async with self._database.connection() as connection:
            rows = await fetch(connection, _POSTINGS, transfer_id=transfer_id)
        return [dataclass_of(ReceiptPosting, row) for row in rows]

    async def earlier_attempts(self, transfer_id: TransferId) -> list[Attempt]:
        """How the attempts before the current one ended, oldest first. The caller has checked whose transfer it is."""
        async with self._database.connection() as connection:
            return await attempts_before(connection, transfer_id)


class Unfinished:
    """Transfers that are not final, for recovery. Reads only. Raises `Unavailable` where PostgreSQL gave no answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def transfers(self, older_than_seconds: int) -> AsyncIterator[tuple[TransferOrder, State]]:
        """All transfers that are not final and have not changed for so long, page by page.

        Those in transit come first, then the others; the oldest first in both.
        """
        oldest_first = (transfers.c.created_at, transfers.c.id)
        unchanged_for = timedelta(seconds=older_than_seconds)
        for in_transit in (transfers.c.state == State.DEBITED, transfers.c.state != State.DEBITED):
            unfinished = select(*TRANSFER).where(_UNCHANGED, in_transit).order_by(*oldest_first).limit(_AT_ONCE)
            page = unfinished
            while True:
                async with self._database.connection() as connection:
                    rows = await fetch(connection, page, unchanged_for=unchanged_for)
                if not rows:
                    break
                for transfer in map(transfer_of, rows):
                    yield transfer.order, transfer.state
                    page = unfinished.where(tuple_(*oldest_first) > (transfer.created_at, transfer.id))

    async def has_not_moved(self, order: TransferOrder, state: State) -> bool:
        """Whether the transfer is still in this state, and in this order's attempt."""
        values = {"transfer_id": order.transfer_id, "attempt": order.attempt, "state": state}
        async with self._database.connection() as connection:
            return bool(await fetch_value(connection, _HAS_NOT_MOVED, **values))
