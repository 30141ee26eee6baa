"""Fundings: the system's accounts that they come from, and their record."""

from typing import TYPE_CHECKING

from database.connections import Database
from ledger.chain import genesis_hash
from ledger.ids import SYSTEM_CUSTOMER, AccountId, new_account_id
from ledger.money import MAX_AMOUNT_MINOR, major_to_minor
from ledger.refusals import NotFundable
from ledger.transfers import TransferOrder
from staff.permissions import ALLOWED, Action, Actor, Role
from staff.postgres.actions import record_action

if TYPE_CHECKING:
    from database.connections import Connection

_FIND = "SELECT id, overdraft_minor, balance_minor FROM accounts WHERE owner_id = $1 AND currency = $2"

# A floor that is raised beyond the balance is where the balance is: nothing more can be taken.
_OPEN = """
    INSERT INTO accounts AS known (id, owner_id, currency, head_hash, overdraft_minor, owner_verified)
    VALUES ($1, $2, $3, $4, $5, true)
    ON CONFLICT (owner_id, currency) DO UPDATE SET
        overdraft_minor = greatest(excluded.overdraft_minor, -known.balance_minor)
    RETURNING id
"""

_PARTIES = """
    SELECT c.role, source.owner_id AS source_owner_id, destination.owner_id AS destination_owner_id
    FROM customers c
    LEFT JOIN accounts source ON source.id = $2
    LEFT JOIN accounts destination ON destination.id = $3
    WHERE c.id = $1
"""


class FundingAccounts:
    """One account of the system for each currency. Raises `Unavailable` where PostgreSQL gave no answer."""

    def __init__(self, database: Database, floor_major: int) -> None:
        """`floor_major`: how far each may go below zero, in major units of its currency."""
        self._database = database
        self._floor_major = floor_major

    async def account_id(self, currency: str) -> AccountId:
        """The account that fundings in this currency come from. Opened, or given the floor of today, where needed.

        The floor is in the account's row: the debit reads it under the row's lock, and a CHECK holds it.
        """
        floor_minor = min(major_to_minor(self._floor_major, currency), MAX_AMOUNT_MINOR)
        async with self._database.connection() as connection:
            row = await connection.fetchrow(_FIND, SYSTEM_CUSTOMER, currency)
            if row is not None and row["overdraft_minor"] == max(floor_minor, -row["balance_minor"]):
                return AccountId(row["id"])
            new = new_account_id()
            values = (new, SYSTEM_CUSTOMER, currency, genesis_hash(new), floor_minor)
            return AccountId(await connection.fetchval(_OPEN, *values))


async def record_funding(connection: "Connection", order: TransferOrder) -> None:
    """Record who funds which account and why, in the transaction that opens the funding.

    Raises `NotFundable` for an order of somebody who is no longer staff, to an account of their own, from an account
    that is not the system's, or without a reason: then nothing is opened either.
    """
    parties = await connection.fetchrow(_PARTIES, order.owner_id, order.source_account_id, order.destination_account_id)
    role = Role(parties["role"]) if parties else Role.CUSTOMER
    if parties is None or role not in ALLOWED[Action.FUND_ACCOUNT]:
        raise NotFundable(order.transfer_id, "who asked for it is not staff")
    if parties["source_owner_id"] != SYSTEM_CUSTOMER:
        raise NotFundable(order.transfer_id, "its source is no account of the system")
    if parties["destination_owner_id"] == order.owner_id:
        raise NotFundable(order.transfer_id, "nobody funds an account of their own")
    if not order.note:
        raise NotFundable(order.transfer_id, "staff give their reason, and there is none")
    after = {
        "transfer_id": order.transfer_id,
        "source_account_id": order.source_account_id,
        "amount": order.amount_minor,
        "currency": order.currency,
    }
    actor = Actor(order.owner_id, role)
    await record_action(connection, actor, Action.FUND_ACCOUNT, order.destination_account_id, order.note, None, after)
