"""Customers in PostgreSQL."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import asyncpg
from sqlalchemy import (
    Column,
    ColumnElement,
    Executable,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    and_,
    any_,
    bindparam,
    exists,
    func,
    insert,
    not_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import insert as insert_or_skip

from customers.customer import EVERYBODY, AccountExists, Customer, CustomerFilter, EmailTaken, IdentityMissing
from customers.documents.document import NewDocument, VerificationState, last_characters
from customers.documents.postgres import add_document
from customers.registrations.postgres import (
    KeyedRegistration,
    Registration,
    find_registration,
    record_registration,
)
from customers.sign_ins.events import AuthEventKind
from customers.sign_ins.networks import Client
from customers.sign_ins.postgres import record_auth_event
from database.answers import Keep, keeps_nothing
from database.connections import Database
from database.encryption import Encryption
from database.metadata import CLOCK, METADATA, Timestamp, required
from database.paging import Page, fetch_page
from database.rows import dataclass_of
from database.statements import Row, fetch_first, fetch_only, one_of
from ledger.accounts import Account, AccountStatus
from ledger.chain import genesis_hash
from ledger.ids import SYSTEM_CUSTOMER, AccountId, CustomerId, new_account_id, new_customer_id
from ledger.postgres.rows import ACCOUNT, account_of
from ledger.postgres.tables import accounts
from notifications.postgres import write_notification

if TYPE_CHECKING:
    from database.connections import Connection

customers = Table(
    "customers",
    METADATA,
    Column("id", Text, primary_key=True),
    required("email", Text),
    required("password_hash", Text),
    required("full_name", Text),
    Column("identity_document_type", Text),
    required("role", Text, server_default="customer"),
    required("created_at", Timestamp, server_default=text("now()")),
    required("role_since", Timestamp, server_default=text("now()")),
    Column("email_verified_at", Timestamp),
    required("session_generation", Integer, server_default="0"),
    Column("verification", Text),
    Column("rejection_code", Text),
    Column("identity_document_end", Text),
    Column("disabled_at", Timestamp),
    UniqueConstraint("email"),
)
Index("customers_by_time", customers.c.created_at)
Index("customers_by_email", customers.c.email, postgresql_ops={"email": "text_pattern_ops"})

# Whom staff look for: few of all customers, in the order of the list.
_IS_STAFF = customers.c.role != text("'customer'")
_IS_DISABLED = customers.c.disabled_at.is_not(None)
_IS_UNVERIFIED = customers.c.verification != text("'verified'")
_BY_ADDRESS = {"email": "text_pattern_ops"}
Index("customers_of_staff", customers.c.email, postgresql_ops=_BY_ADDRESS, postgresql_where=_IS_STAFF)
Index("customers_disabled", customers.c.email, postgresql_ops=_BY_ADDRESS, postgresql_where=_IS_DISABLED)
Index("customers_unverified", customers.c.email, postgresql_ops=_BY_ADDRESS, postgresql_where=_IS_UNVERIFIED)

# Whose document is not decided: few, and each needs its workflow.
UNDECIDED = one_of(customers.c.verification, (state for state in VerificationState if not state.is_decided))
Index("customers_undecided", customers.c.created_at, postgresql_where=UNDECIDED)

CUSTOMER_COLUMNS = (
    "id, email, password_hash, full_name, role, created_at, role_since, email_verified_at, session_generation, "
    "verification, rejection_code, identity_document_type, identity_document_end, disabled_at"
)
CUSTOMER = tuple(customers.c[name] for name in CUSTOMER_COLUMNS.split(", "))

_BY_ID = select(*CUSTOMER).where(customers.c.id == bindparam("customer_id"))
_BY_EMAIL = select(*CUSTOMER).where(customers.c.email == bindparam("email"))

WELCOME = "Welcome! Your identity is verified: your account can send and receive money."

_LAST_CHARACTER = chr(0x10FFFF)


class Customers:
    """All raise `Unavailable` where PostgreSQL gave no answer."""

    def __init__(self, database: Database, encryption: Encryption | None = None) -> None:
        """`encryption` is needed to register: it encrypts the number of the document."""
        self._database = database
        self._encryption = encryption or Encryption([])

    async def register(
        self,
        email: str,
        password_hash: str,
        full_name: str,
        document: NewDocument,
        currency: str,
        client: Client | None = None,
        asked: KeyedRegistration | None = None,
    ) -> tuple[Customer, Account]:
        """A new customer with their document and a first, empty account, or `EmailTaken` and nothing.

        What is known of the document holds at once: a customer who is verified gets their welcome, and their account
        may send money. On record, if a `client` asked. With `asked`, `registered` finds them by its key.
        """
        customer_id = new_customer_id()
        # Skipped where the address is taken, and not refused by the index: PostgreSQL's log would repeat the address.
        new = insert_or_skip(customers).values(
            id=customer_id,
            email=email,
            password_hash=password_hash,
            full_name=full_name,
            verification=document.finding.state,
            rejection_code=document.finding.code,
            identity_document_type=document.type,
            identity_document_end=last_characters(document.number),
        )
        async with self._database.transaction() as connection:
            new = new.on_conflict_do_nothing(index_elements=[customers.c.email])
            customer = await fetch_first(connection, new.returning(*CUSTOMER))
            if customer is None:
                raise EmailTaken
            await add_document(connection, self._encryption, customer_id, document)
            account = account_of(await fetch_only(connection, _new_account(customer_id, currency)))
            if asked is not None:
                await record_registration(connection, Registration(customer_id, account.id, asked.request), asked.key)
            if document.finding.state is VerificationState.VERIFIED:
                await welcome(connection, customer_id)
            if client is not None:
                await record_auth_event(connection, AuthEventKind.REGISTERED, client, customer_id, customer_id)
        return customer_of(customer), account

    async def registered(self, email: str, key: str) -> tuple[Customer, Registration] | None:
        """Who has registered with this address (lower case) by a request under this key, and how."""
        async with self._database.connection() as connection:
            row = await fetch_first(connection, _BY_EMAIL, email=email)
            customer = customer_of(row) if row else None
            known = await find_registration(connection, customer.id, key) if customer else None
        return (customer, known) if customer and known else None

    async def open_account(
        self, owner_id: CustomerId, currency: str, keep: Keep[Account] = keeps_nothing, name: str | None = None
    ) -> Account:
        """A new, empty account.

        Raises `AccountExists` for a second one in the same currency, and `IdentityMissing` for staff.
        """
        async with self._database.transaction() as connection:
            try:
                row = await fetch_only(connection, _new_account(owner_id, currency, name))
            except asyncpg.UniqueViolationError as error:
                raise AccountExists(currency) from error
            except asyncpg.CheckViolationError as error:
                if error.constraint_name != "accounts_need_identity":
                    raise
                raise IdentityMissing(owner_id) from error
            account = account_of(row)
            await keep(connection, account)
        return account

    async def rename_account(self, owner_id: CustomerId, account_id: AccountId, name: str | None) -> Account | None:
        """Let the customer's account have this name, or none; None: they have no such account."""
        own = and_(accounts.c.id == account_id, accounts.c.owner_id == owner_id)
        async with self._database.connection() as connection:
            row = await fetch_first(connection, update(accounts).where(own).values(name=name).returning(*ACCOUNT))
        return account_of(row) if row else None

    async def by_email(self, email: str) -> Customer | None:
        """The customer who registered with this address (lower case)."""
        async with self._database.connection() as connection:
            row = await fetch_first(connection, _BY_EMAIL, email=email)
        return customer_of(row) if row else None

    async def search(
        self, email_prefix: str, after: CustomerId | None, limit: int, wanted: CustomerFilter = EVERYBODY
    ) -> Page[Customer]:
        """Customers whose address (lower case) begins with the prefix, in its order, behind the customer `after`."""
        # A prefix is a range: from the prefix to the prefix followed by the last of all characters. Unlike LIKE it
        # needs no escapes, and the index on text_pattern_ops serves these operators in any collation.
        email = customers.c.email
        found = (
            select(*CUSTOMER)
            .where(
                customers.c.id != SYSTEM_CUSTOMER,
                email.op("~>=~")(email_prefix),
                email.op("~<=~")(email_prefix + _LAST_CHARACTER),
                *_conditions(wanted),
            )
            .order_by(text("email USING ~<~"))
        )
        if after is not None:
            last = select(customers.c.email).where(customers.c.id == after).correlate(None).scalar_subquery()
            found = found.where(email.op("~>~")(last))
        async with self._database.connection() as connection:
            return await fetch_page(connection, found, limit, customer_of)

    async def find(self, customer_id: CustomerId) -> Customer | None:
        """Anybody who may sign in."""
        async with self._database.connection() as connection:
            row = await fetch_first(connection, _BY_ID, customer_id=customer_id)
        return customer_of(row) if row else None

    async def verify_email(self, customer_id: CustomerId, client: Client) -> Customer:
        """Note that mail to the customer's address reaches them, on record. A repeat changes and records nothing."""
        first = update(customers).where(customers.c.id == customer_id, customers.c.email_verified_at.is_(None))
        async with self._database.transaction() as connection:
            row = await fetch_first(connection, first.values(email_verified_at=CLOCK).returning(*CUSTOMER))
            if row is None:
                return customer_of(await fetch_only(connection, _BY_ID, customer_id=customer_id))
            await record_auth_event(connection, AuthEventKind.EMAIL_VERIFIED, client, customer_id, customer_id)
        return customer_of(row)


async def welcome(connection: "Connection", customer_id: CustomerId) -> None:
    """Welcome a customer in the transaction that verifies them, which happens once.

    Whoever tells others that there is a new customer does so here.
    """
    await write_notification(connection, customer_id, "welcomed", WELCOME)


def customer_of(row: Row) -> Customer:
    """The customer in a row of `CUSTOMER`."""
    return dataclass_of(Customer, row)


def _new_account(owner_id: CustomerId, currency: str, name: str | None = None) -> Executable:
    account_id = new_account_id()
    new = insert(accounts).values(
        id=account_id, owner_id=owner_id, currency=currency, head_hash=genesis_hash(account_id), name=name
    )
    return new.returning(*ACCOUNT)


def _conditions(wanted: CustomerFilter) -> Iterator[ColumnElement[bool]]:
    """Values are written into the SQL as constants: with parameters PostgreSQL could not use a partial index."""
    if wanted.role is not None:
        yield one_of(customers.c.role, [wanted.role])
    if wanted.verification is not None:
        yield one_of(customers.c.verification, [wanted.verification])
    if wanted.disabled is not None:
        yield _IS_DISABLED if wanted.disabled else not_(_IS_DISABLED)
    if wanted.account_status is not None:
        has_one = one_of(accounts.c.status, [wanted.account_status])
        if wanted.account_status is AccountStatus.ACTIVE:
            yield exists().where(accounts.c.owner_id == customers.c.id, has_one)
        else:  # few have one: they are found first
            owners = select(accounts.c.owner_id).where(has_one).correlate(None).scalar_subquery()
            yield customers.c.id == any_(func.array(owners))
