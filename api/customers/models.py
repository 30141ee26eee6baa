"""Customers as requests and answers."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field

from api.accounts.models import AccountOut
from api.auth.new_passwords import NewPassword
from api.http.fields import Email, In, Limit, Text
from api.onboarding.models import VerificationOut
from api.ownership.owned import Owned
from api.staff.models import ReasonIn
from customers.customer import Customer
from ledger.ids import CustomerId
from staff.permissions import Role


class CustomerOut(Owned):
    not_found = "customer_not_found"

    id: CustomerId
    email: str
    full_name: str
    email_verified: bool = Field(description="Whether mail to the address is known to reach the customer")
    role: Role
    verification: VerificationOut | None = Field(description="null: staff who never showed an identity document")
    created_at: datetime
    disabled_at: datetime | None = Field(description="Since when staff keep them from signing in; null: they may")

    @classmethod
    def of(cls, customer: Customer) -> "CustomerOut":
        return cls(
            id=customer.id,
            email=customer.email,
            full_name=customer.full_name,
            email_verified=customer.email_verified,
            role=Role(customer.role),
            verification=VerificationOut.of(customer),
            created_at=customer.created_at,
            disabled_at=customer.disabled_at,
        ).owned_by(customer.id)


class PromotedIn(In):
    """A registered customer who becomes staff at the command line, with a new password."""

    email: Email
    password: NewPassword


class StaffIn(PromotedIn):
    """Somebody new who is staff from the start, made at the command line."""

    full_name: Annotated[str, Text, Field(max_length=200)]


class EmailCodeOut(BaseModel):
    """What the customer sends to `POST /v1/auth/email-verification`, after it reached them by mail."""

    code: str
    expires_at: datetime


class CustomerSearchIn(In):
    email: Annotated[str, Field(max_length=254, description="The beginning of the address", examples=["ada@"])]
    limit: Limit = 20
    cursor: Annotated[str | None, Field(max_length=200, description="next_cursor of the previous page")] = None


class RoleIn(ReasonIn):
    role: Role


class CustomersOut(BaseModel):
    items: list[CustomerOut]
    next_cursor: str | None


class CustomerFileOut(CustomerOut):
    """A customer and their accounts, oldest first."""

    accounts: list[AccountOut]
