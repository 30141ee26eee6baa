"""Books as a service has them after two months: many accounts, a merchant, every kind of transfer and of ending."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from api.transfers.acceptance import TransferRequest, order_for
from bench.postgres.bulk import COPY_SECONDS, BulkAccount, BulkRows, bulk_connection, write_accounts
from ledger.chain import genesis_hash
from ledger.fingerprints import Fingerprints
from ledger.ids import WORLD, AccountId, CustomerId, TransferId, new_account_id, new_customer_id
from ledger.transfers import Failure, State, TransferOrder

if TYPE_CHECKING:
    from bench.postgres.bulk import Connection

BATCH = 50_000
PERIOD = timedelta(days=60)
TRANSFERS_FOR_EACH_ACCOUNT = 250
FUNDS_MINOR = 10_000_000
MOST_MINOR = 200_000

# Two accounts in a currency that nobody else uses, and how many transfers have not ended.
RARE_CURRENCY = "KWD"
NOT_ENDED = 60

_TOO_LITTLE = Failure("insufficient_funds", "The source holds too little.")
_FROZEN = Failure("account_frozen", "The destination is frozen.")
_CUSTOMERS = "id email password_hash full_name identity_document_type identity_document_end verification".split()
_ACCOUNTS = "id owner_id currency balance_minor version head_hash".split()

# Indexes that are built once, after the rows. Primary keys and unique indexes stay.
_INDEXES = """
    SELECT indexrelid::regclass::text AS name, pg_get_indexdef(indexrelid) AS definition FROM pg_index
    WHERE indrelid IN ('transfers'::regclass, 'keys'::regclass, 'postings'::regclass, 'entries'::regclass)
        AND NOT indisunique
"""


@dataclass(frozen=True, slots=True)
class LargeBooks:
    """Whom the books are about: a merchant who is paid by everybody, a customer of average size, and a quiet one."""

    merchant: BulkAccount
    customer: BulkAccount
    rare: BulkAccount


@dataclass(slots=True)
class _Transfers:
    """Draws one transfer after the other."""

    accounts: list[BulkAccount]
    rare: list[BulkAccount]
    chance: random.Random
    rows: BulkRows
    fingerprints: Fingerprints

    def add(self, name: str, at: datetime) -> None:
        """Add the next transfer."""
        draw = self.chance.random()
        currency = "USD"
        source, destination = self.chance.choice(self.accounts), self.chance.choice(self.accounts)
        if draw < 0.1:
            destination = self.accounts[0]
        elif draw > 0.999_99:
            (source, destination), currency = self.rare, RARE_CURRENCY
        amount = int(MOST_MINOR ** self.chance.random())
        if source is destination or draw > 0.85:
            self._between(WORLD, destination.id, destination, amount, currency, name, at)
        elif source.balance_minor < amount:
            self._between(WORLD, source.id, source, FUNDS_MINOR, currency, name, at)
        elif draw > 0.75:
            self._between(source.id, WORLD, source, amount, currency, name, at)
        else:
            self._moved(source, destination, amount, currency, name, at)

    def _order(self, owner_id: CustomerId, key: str, wanted: TransferRequest) -> TransferOrder:
        return self.fingerprints.signed(order_for(owner_id, key, wanted))

    def _between(
        self,
        source: AccountId,
        destination: AccountId,
        owner: BulkAccount,
        amount: int,
        currency: str,
        name: str,
        at: datetime,
    ) -> None:
        order = self._order(owner.owner_id, name, TransferRequest(source, destination, amount, currency))
        sides = (None, owner) if source == WORLD else (owner, None)
        self.rows.add(order, State.COMPLETED, at, *sides)

    def _moved(
        self, source: BulkAccount, destination: BulkAccount, amount: int, currency: str, name: str, at: datetime
    ) -> None:
        order = self._order(source.owner_id, name, TransferRequest(source.id, destination.id, amount, currency))
        draw = self.chance.random()
        if draw < 0.01:
            self.rows.add(order, State.FAILED, at, source, destination, _TOO_LITTLE)
        elif draw < 0.013:
            self.rows.add(order, State.COMPENSATED, at, source, destination, _FROZEN)
        elif draw < 0.015:
            self.rows.add(order, State.CANCELLED, at, source, destination)
        else:
            self.rows.add(order, State.COMPLETED, at, source, destination)
            if draw > 0.999 and destination.balance_minor >= amount:
                self._reversed(source, destination, amount, currency, name, order.transfer_id, at)

    def _reversed(
        self,
        source: BulkAccount,
        destination: BulkAccount,
        amount: int,
        currency: str,
        name: str,
        original: TransferId,
        at: datetime,
    ) -> None:
        wanted = TransferRequest(destination.id, source.id, amount, currency, reverses_transfer_id=original)
        later = at + timedelta(microseconds=1)
        self.rows.add(
            self._order(destination.owner_id, f"back-{name}", wanted), State.COMPLETED, later, destination, source
        )

    def leave_open(self, name: str, at: datetime) -> None:
        """Add a transfer that has not ended."""
        source, destination = self.chance.sample(self.accounts, 2)
        order = self._order(source.owner_id, name, TransferRequest(source.id, destination.id, 1, "USD"))
        can_pay = source.balance_minor > 0
        state = self.chance.choice([State.INITIATED, State.IN_REVIEW, *([State.DEBITED] if can_pay else [])])
        self.rows.add(order, state, at, source, destination)


async def fill_large_books(
    database_url: str,
    fingerprints: Fingerprints,
    transfers: int,
    seed: int,
    progress: Callable[[int], None] = lambda _: None,
) -> LargeBooks:
    """Fill empty books with this many transfers of the last two months; then VACUUM and ANALYZE.

    Needs a superuser, because it turns triggers and foreign keys off. Nothing else may write meanwhile.
    """
    chance = random.Random(seed)  # noqa: S311 - the same amounts again, not a secret
    until = datetime.now(UTC) - timedelta(minutes=1)
    async with bulk_connection(database_url) as connection:
        ordinary = await _open_accounts(connection, max(20, transfers // TRANSFERS_FOR_EACH_ACCOUNT), "USD")
        rare = await _open_accounts(connection, 2, RARE_CURRENCY)
        indexes = await connection.fetch(_INDEXES)
        for index in indexes:
            await connection.execute(f"DROP INDEX {index['name']}")
        drawn = _Transfers(ordinary, rare, chance, BulkRows(), fingerprints)
        for count in range(transfers):
            drawn.add(f"drawn-{count}", until - PERIOD + PERIOD * (count + 1) / (transfers + 1))
            if (count + 1) % BATCH == 0:
                await drawn.rows.write(connection)
                progress(count + 1)
        for count in range(NOT_ENDED):
            drawn.leave_open(f"open-{count}", until - timedelta(seconds=NOT_ENDED - count))
        await drawn.rows.write(connection)
        await write_accounts(connection, ordinary + rare)
        for index in indexes:
            await connection.execute(index["definition"], timeout=COPY_SECONDS)
    return LargeBooks(ordinary[0], ordinary[1], rare[0])


async def _open_accounts(connection: "Connection", number: int, currency: str) -> list[BulkAccount]:
    accounts = []
    for _ in range(number):
        account_id = new_account_id()
        accounts.append(BulkAccount(account_id, CustomerId(new_customer_id()), 0, 0, genesis_hash(account_id)))
    known = ("-", "A Name", "NIN", "5", "verified")
    customers = [(one.owner_id, f"{one.owner_id}@example.com", *known) for one in accounts]
    rows = [(one.id, one.owner_id, currency, 0, 0, one.head_hash) for one in accounts]
    await connection.copy_records_to_table("customers", records=customers, columns=_CUSTOMERS)
    await connection.copy_records_to_table("accounts", records=rows, columns=_ACCOUNTS)
    return accounts
