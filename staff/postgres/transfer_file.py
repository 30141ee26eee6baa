"""All that is known of one transfer, for staff. Reads only."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, not_, select

from database.connections import Database
from database.rows import columns_for, dataclass_of
from database.statements import fetch, fetch_first
from ledger.ids import AccountId, CustomerId, PostingId, TransferId
from ledger.postgres.abandonments import abandonments_of
from ledger.postgres.reversals import hidden_from
from ledger.postgres.rows import TRANSFER, transfer_of
from ledger.postgres.tables import entries, postings, transfers
from ledger.postgres.transfer_reads import attempts_before
from ledger.recovery import Abandonment
from ledger.transfers import Attempt, Leg, Transfer
from notifications.postgres import notifications
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
    """A message to the owner of an account about a transfer. `occasion` is `ended`, or a step of a dispute."""

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
    abandonments: list[Abandonment]


_TRANSFER = select(*TRANSFER).where(transfers.c.id == bindparam("transfer_id"))

_POSTINGS = (
    select(*columns_for(PostingFact, postings))
    .where(postings.c.transfer_id == bindparam("transfer_id"))
    .order_by(postings.c.attempt, postings.c.recorded_at, postings.c.leg.desc())
)

_ENTRIES = (
    select(*columns_for(EntryFact, entries))
    .where(entries.c.transfer_id == bindparam("transfer_id"))
    .order_by(entries.c.attempt, entries.c.recorded_at, entries.c.leg.desc())
)

_MESSAGES = (
    select(*columns_for(TransferMessage, notifications))
    .where(notifications.c.transfer_id == bindparam("transfer_id"))
    .order_by(notifications.c.attempt, notifications.c.created_at, notifications.c.account_id)
)


class TransferFiles:
    """All raise `Unavailable` where PostgreSQL gave no answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find_transfer(self, transfer_id: TransferId) -> Transfer | None:
        """Anybody's transfer, as its row is now."""
        async with self._database.connection() as connection:
            row = await fetch_first(connection, _TRANSFER, transfer_id=transfer_id)
        return transfer_of(row) if row else None

    async def read(self, reader_id: CustomerId, transfer_id: TransferId) -> TransferFile | None:
        """A transfer with its attempts, postings, entries, messages, the actions about it, and what recovery ended.

        Staff see no attempt of others to reverse what they were paid themselves: neither the reversal nor the action.
        """
        async with (
            self._database.connection() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            shown = _TRANSFER.where(not_(hidden_from(reader_id)))
            row = await fetch_first(connection, shown, transfer_id=transfer_id)
            if row is None:
                return None
            found = {"transfer_id": transfer_id}
            return TransferFile(
                transfer=transfer_of(row),
                attempts=[*await attempts_before(connection, transfer_id), transfer_of(row).current_attempt],
                postings=[dataclass_of(PostingFact, each) for each in await fetch(connection, _POSTINGS, **found)],
                entries=[dataclass_of(EntryFact, each) for each in await fetch(connection, _ENTRIES, **found)],
                messages=[dataclass_of(TransferMessage, each) for each in await fetch(connection, _MESSAGES, **found)],
                actions=await actions_about(connection, reader_id, transfer_id),
                abandonments=await abandonments_of(connection, transfer_id),
            )
