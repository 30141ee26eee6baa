"""Customers: who may sign in, and what registering or opening an account refuses. Pure: no I/O."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from customers.documents.document import DocumentType, RejectionCode, VerificationState
from ledger.accounts import AccountStatus
from ledger.ids import CustomerId


@dataclass(frozen=True, slots=True)
class CustomerFilter:
    """Which customers a list holds: those for whom all of this is so. None allows every customer.

    `account_status` is that of at least one of their accounts.
    """

    role: StrEnum | None = None
    verification: VerificationState | None = None
    disabled: bool | None = None
    account_status: AccountStatus | None = None


EVERYBODY = CustomerFilter()


@dataclass(frozen=True, slots=True)
class Customer:
    """Who may sign in. `role` is `customer`, `operator` or `admin`, since `role_since`.

    `email_verified_at` is when they showed that mail to their address reaches them; None: they have not. Sessions of
    another `session_generation` have ended. From `disabled_at` on they cannot sign in; None: they can.

    `verification` is the state of their newest identity document, and the fields behind it tell which one that is;
    None: they are staff who never showed one.
    """

    id: CustomerId
    email: str
    password_hash: str
    full_name: str
    role: str
    created_at: datetime
    role_since: datetime
    email_verified_at: datetime | None
    session_generation: int
    verification: VerificationState | None
    rejection_code: RejectionCode | None
    identity_document_type: DocumentType | None
    identity_document_end: str | None
    disabled_at: datetime | None = None

    @property
    def email_verified(self) -> bool:
        """Whether mail to the address is known to reach them."""
        return self.email_verified_at is not None


class EmailTaken(Exception):
    """Another customer has registered with this address."""


class AccountExists(Exception):
    """The customer already holds an account in this currency."""


class IdentityMissing(Exception):
    """The customer is staff who never showed an identity document, and may hold no account."""
