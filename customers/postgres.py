"""Customers and their sessions in PostgreSQL."""

from datetime import datetime

import asyncpg

from customers.customer import AccountExists, Customer, EmailTaken, IdentityMissing
from database.connections import Database
from ledger.accounts import Account
from ledger.chain import genesis_hash
from ledger.ids import CustomerId, new_account_id, new_customer_id
from ledger.postgres.rows import ACCOUNT_COLUMNS, Row, account_of

CUSTOMER_COLUMNS = "id, email, password_hash, full_name, role, created_at"


_REGISTER = f"""
    INSERT INTO customers (id, email, password_hash, full_name, identity_document_type, identity_document_number)
    VALUES ($1, $2, $3, $4, $5, $6) RETURNING {CUSTOMER_COLUMNS}
"""


_OPEN_ACCOUNT = f"""
    INSERT INTO accounts AS a (id, owner_id, currency, head_hash) VALUES ($1, $2, $3, $4) RETURNING {ACCOUNT_COLUMNS}
"""


_SIGNED_IN = f"""
    SELECT {CUSTOMER_COLUMNS} FROM customers
    WHERE id = $1 AND NOT EXISTS (SELECT FROM revoked_tokens WHERE token_id = $2)
"""


_REVOKE = """
    WITH expired AS (DELETE FROM revoked_tokens WHERE expires_at < now())
    INSERT INTO revoked_tokens (token_id, expires_at) VALUES ($1, $2) ON CONFLICT DO NOTHING
"""


# A prefix is a range: everything from the prefix to the prefix followed by the last character there is. Unlike LIKE,
# it needs no escapes, and the index serves it whatever the prefix is.
_CUSTOMERS = f"""
    SELECT {CUSTOMER_COLUMNS} FROM customers
    WHERE email ~>=~ $1 AND email ~<=~ ($1 || chr(1114111)) AND email ~>~ $2
    ORDER BY email USING ~<~ LIMIT $3
"""

_CUSTOMER = f"SELECT {CUSTOMER_COLUMNS} FROM customers WHERE id = $1"
_ACCOUNT = f"SELECT {ACCOUNT_COLUMNS} FROM accounts a WHERE a.id = $1"


class Customers:
    """All raise `Unavailable` where PostgreSQL gave no answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def register(
        self, email: str, password_hash: str, full_name: str, document_type: str, document_number: str, currency: str
    ) -> tuple[Customer, Account]:
        """A new customer with a first, empty account, or `EmailTaken` and neither."""
        customer_id, account_id = new_customer_id(), new_account_id()
        async with self._database.transaction() as connection:
            try:
                customer = await connection.fetchrow(
                    _REGISTER, customer_id, email, password_hash, full_name, document_type, document_number
                )
            except asyncpg.UniqueViolationError as error:
                raise EmailTaken(email) from error
            account = await connection.fetchrow(
                _OPEN_ACCOUNT, account_id, customer_id, currency, genesis_hash(account_id)
            )
        assert customer is not None
        assert account is not None
        return customer_of(customer), account_of(account)

    async def open_account(self, owner_id: CustomerId, currency: str) -> Account:
        """A new, empty account.

        Raises `AccountExists` for a second one in the same currency, and `IdentityMissing` for staff.
        """
        account_id = new_account_id()
        async with self._database.connection() as connection:
            try:
                row = await connection.fetchrow(_OPEN_ACCOUNT, account_id, owner_id, currency, genesis_hash(account_id))
            except asyncpg.UniqueViolationError as error:
                raise AccountExists(currency) from error
            except asyncpg.CheckViolationError as error:
                if error.constraint_name != "accounts_need_identity":
                    raise
                raise IdentityMissing(owner_id) from error
        assert row is not None
        return account_of(row)

    async def by_email(self, email: str) -> Customer | None:
        """The customer who registered with this address (lower case)."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(f"SELECT {CUSTOMER_COLUMNS} FROM customers WHERE email = $1", email)
        return customer_of(row) if row else None

    async def signed_in(self, customer_id: CustomerId, token_id: str) -> Customer | None:
        """The customer of an access token, unless the token was revoked."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(_SIGNED_IN, customer_id, token_id)
        return customer_of(row) if row else None

    async def search(self, email_prefix: str, after_email: str, limit: int) -> list[Customer]:
        """Customers whose address (lower case) begins with the prefix, in its order, behind `after_email`."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(_CUSTOMERS, email_prefix, after_email, limit)
        return [customer_of(row) for row in rows]

    async def find(self, customer_id: CustomerId) -> Customer | None:
        """Anybody who may sign in."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(_CUSTOMER, customer_id)
        return customer_of(row) if row else None

    async def revoke(self, token_id: str, expires_at: datetime) -> None:
        """Refuse this token from now on. Forgets tokens that have expired by themselves."""
        async with self._database.connection() as connection:
            await connection.execute(_REVOKE, token_id, expires_at)


def customer_of(row: Row) -> Customer:
    """The customer in a row selected with `CUSTOMER_COLUMNS`."""
    return Customer(**dict(row))
