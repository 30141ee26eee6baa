"""All that is known of one transfer, for staff. Reads only."""

from dataclasses import dataclass
from datetime import datetime

from database.connections import Database
from ledger.ids import AccountId, CustomerId, PostingId, TransferId
from ledger.postgres.rows import TRANSFER_COLUMNS, transfer_of
from ledger.postgres.transfer_reads import attempts_before
from ledger.transfers import Attempt, Leg, Transfer
from staff.actions import StaffAction
from staff.postgres.actions import actions_about


@dataclass(frozen=True, slots=True)
class PostingFact:
    """One posting of a transfer, both sides named."""

    id: PostingId
    attempt: int
    leg: Leg
    debit_account_id: AccountId
    credit_account_id: AccountId
    amount_minor: int
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class EntryFact:
    """What a posting did to one account. `amount_minor` is signed."""

    account_id: AccountId
    version: int
    attempt: int
    leg: Leg
    amount_minor: int
    balance_before: int
    balance_after: int
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class TransferMessage:
    """What the owner of an account was told about a transfer: of how an attempt `ended`, or of a dispute's course."""

    customer_id: CustomerId
    account_id: AccountId
    attempt: int
    occasion: str
    body: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class TransferFile:
    """All that is known of a transfer, in one snapshot. Each list is oldest first."""

    transfer: Transfer
    attempts: list[Attempt]
    postings: list[PostingFact]
    entries: list[EntryFact]
    messages: list[TransferMessage]
    actions: list[StaffAction]


_TRANSFER = f"SELECT {TRANSFER_COLUMNS} FROM transfers t WHERE t.id = $1"


_POSTINGS = """
    SELECT id, attempt, leg, debit_account_id, credit_account_id, amount_minor, recorded_at
    FROM postings WHERE transfer_id = $1 ORDER BY attempt, recorded_at, leg DESC
"""


_ENTRIES = """
    SELECT account_id, version, attempt, leg, amount_minor, balance_before, balance_after, recorded_at
    FROM entries WHERE transfer_id = $1 ORDER BY attempt, recorded_at, leg DESC
"""


_MESSAGES = """
    SELECT customer_id, account_id, attempt, occasion, body, created_at
    FROM messages WHERE transfer_id = $1 ORDER BY attempt, created_at, account_id
"""


class TransferFiles:
    """All raise `Unavailable` where PostgreSQL gave no answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find_transfer(self, transfer_id: TransferId) -> Transfer | None:
        """Anybody's transfer, as its row is now."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(_TRANSFER, transfer_id)
        return transfer_of(row) if row else None

    async def read(self, transfer_id: TransferId) -> TransferFile | None:
        """A transfer with its attempts, postings, entries, messages, and the actions about it."""
        async with (
            self._database.connection() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            row = await connection.fetchrow(_TRANSFER, transfer_id)
            if row is None:
                return None
            return TransferFile(
                transfer=transfer_of(row),
                attempts=[*await attempts_before(connection, transfer_id), transfer_of(row).current_attempt],
                postings=[PostingFact(**dict(row)) for row in await connection.fetch(_POSTINGS, transfer_id)],
                entries=[EntryFact(**dict(row)) for row in await connection.fetch(_ENTRIES, transfer_id)],
                messages=[TransferMessage(**dict(row)) for row in await connection.fetch(_MESSAGES, transfer_id)],
                actions=await actions_about(connection, transfer_id),
            )
