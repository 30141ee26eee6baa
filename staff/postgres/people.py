"""Who acts: staff by the name they give, and what makes them a party of a transfer."""

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from ledger.ids import CustomerId
from ledger.transfers import Kind, Transfer, TransferOrder
from staff.permissions import STAFF, Action, Actor, ConflictOfInterest, NotStaff, Role, RoleTooYoung, check_counts

if TYPE_CHECKING:
    from database.connections import Connection

# The lock keeps the role until what they do is written, and lets equal requests of one person come one by one.
_NAMED = """
    SELECT id, role, disabled_at FROM customers WHERE id = $1 OR email = lower($1)
    ORDER BY id = $1 DESC LIMIT 1 FOR NO KEY UPDATE
"""

_ROLE_SINCE = "SELECT role_since, clock_timestamp() AS now FROM customers WHERE id = $1"

_OWNS_ONE = "SELECT EXISTS (SELECT FROM accounts WHERE id = ANY ($1::text[]) AND owner_id = $2)"


async def staff_named(connection: "Connection", name: str) -> Actor:
    """The operator or admin with this id or address, under their row lock. Raises `NotStaff`."""
    row = await connection.fetchrow(_NAMED, name.strip())
    if row is None or Role(row["role"]) not in STAFF or row["disabled_at"] is not None:
        raise NotStaff(name)
    return Actor(CustomerId(row["id"]), Role(row["role"]))


async def find_too_young(
    connection: "Connection", actor_id: CustomerId, four_eyes_after: timedelta
) -> RoleTooYoung | None:
    """Why this person does not count where two people are needed; None: they count. The caller holds their row."""
    row = await connection.fetchrow(_ROLE_SINCE, actor_id)
    assert row is not None
    try:
        check_counts(row["role_since"], four_eyes_after, row["now"])
    except RoleTooYoung as refusal:
        return refusal
    return None


async def check_no_party(
    connection: "Connection", actor_id: CustomerId, action: Action, transfers: Sequence[Transfer | TransferOrder]
) -> None:
    """Raises `ConflictOfInterest` if the actor requested one of these transfers, or owns one of their accounts.

    Staff who requested a reversal between others own none of its accounts, and are no party of it.
    """
    owners = {each.owner_id for each in transfers if each.kind is not Kind.REVERSAL}
    accounts = {account for each in transfers for account in (each.source_account_id, each.destination_account_id)}
    if actor_id in owners or await connection.fetchval(_OWNS_ONE, list(accounts), actor_id):
        raise ConflictOfInterest(action)
