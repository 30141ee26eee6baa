"""Customers: who may sign in, and what registering or opening an account refuses. Pure: no I/O."""

from dataclasses import dataclass
from datetime import datetime

from ledger.ids import CustomerId


@dataclass(frozen=True, slots=True)
class Customer:
    """Who may sign in. `role` is `customer`, `operator` or `admin`."""

    id: CustomerId
    email: str
    password_hash: str
    full_name: str
    role: str
    created_at: datetime


class EmailTaken(Exception):
    """Another customer has registered with this address."""


class AccountExists(Exception):
    """The customer already holds an account in this currency."""


class IdentityMissing(Exception):
    """The customer is staff who never showed an identity document, and may hold no account."""
