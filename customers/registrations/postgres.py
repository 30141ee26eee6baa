"""Which request registered a customer, in PostgreSQL: a repeat under its key gets the same customer and account.

A key of a registration belongs to the address that registers: whoever registers has no customer yet that could own it.
It is none of the customer's later keys. The row commits with the customer, or neither does.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Column, ForeignKey, Table, Text, bindparam, insert, select, text

from database.metadata import METADATA, Timestamp, required
from database.rows import columns_for, dataclass_of
from database.statements import execute, fetch_first
from ledger.ids import AccountId, CustomerId

if TYPE_CHECKING:
    from database.connections import Connection

registrations = Table(
    "registrations",
    METADATA,
    Column("customer_id", Text, ForeignKey("customers.id"), primary_key=True),
    Column("account_id", Text, ForeignKey("accounts.id"), nullable=False),
    required("idempotency_key", Text),
    required("request", Text),
    required("recorded_at", Timestamp, server_default=text("clock_timestamp()")),
)


@dataclass(frozen=True, slots=True)
class KeyedRegistration:
    """A request to register under a key. `request` is a digest of what was asked for, without its secrets."""

    key: str
    request: str


@dataclass(frozen=True, slots=True)
class Registration:
    """Whom a request under a key has registered, and their first account."""

    customer_id: CustomerId
    account_id: AccountId
    request: str


_FIND = select(*columns_for(Registration, registrations)).where(
    registrations.c.customer_id == bindparam("customer_id"), registrations.c.idempotency_key == bindparam("key")
)


async def record_registration(connection: "Connection", made: Registration, key: str) -> None:
    """Keep by which request under this key the customer was registered, inside the transaction that makes them."""
    new = insert(registrations).values(
        customer_id=made.customer_id, account_id=made.account_id, idempotency_key=key, request=made.request
    )
    await execute(connection, new)


async def find_registration(connection: "Connection", customer_id: CustomerId, key: str) -> Registration | None:
    """The request under this key that registered the customer; None: they registered without a key, or by another."""
    row = await fetch_first(connection, _FIND, customer_id=customer_id, key=key)
    return dataclass_of(Registration, row) if row else None
