"""Customers as requests and answers."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field

from api.accounts.models import AccountOut
from api.auth.new_passwords import NewPassword
from api.http.fields import CurrencyCode, Email, In, Limit, Text
from api.onboarding.models import VerificationOut
from api.ownership.owned import Owned
from api.staff.models import ReasonIn
from customers.customer import Customer, CustomerFilter
from customers.documents.document import VerificationState
from ledger.accounts import Account, AccountStatus, Freeze
from ledger.ids import AccountId, CustomerId
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


class CustomerFilters(In):
    """All filters of a request apply together. One that is left out allows every customer."""

    role: Role | None = None
    verification: VerificationState | None = Field(None, description="The state of their newest document")
    disabled: bool | None = Field(None, description="Whether staff keep them from signing in")
    account_status: AccountStatus | None = Field(None, description="Of at least one of their accounts")
    limit: Limit = 20
    cursor: Annotated[str | None, Field(max_length=200, description="next_cursor of the previous page")] = None

    @property
    def filter(self) -> CustomerFilter:
        """Without the place in the list."""
        return CustomerFilter(self.role, self.verification, self.disabled, self.account_status)


class CustomerSearchIn(CustomerFilters):
    email: Annotated[str, Field(max_length=254, description="The beginning of the address", examples=["ada@"])]


class RoleIn(ReasonIn):
    role: Role


class CustomerFileOut(CustomerOut):
    """A customer and their accounts, oldest first."""

    accounts: list[AccountOut]


class AccountStateOut(BaseModel):
    """How an account of a customer stands."""

    id: AccountId
    currency: CurrencyCode
    status: AccountStatus
    frozen: Freeze | None = Field(description="What a freeze stops; null: the account is not frozen")
    tier: int
    balance: int = Field(validation_alias="balance_minor", description="In the currency's minor unit")


class ListedCustomerOut(CustomerOut):
    """A customer, and how their accounts stand, oldest first."""

    accounts: list[AccountStateOut]

    @classmethod
    def with_accounts(cls, customer: Customer, accounts: list[Account]) -> "ListedCustomerOut":
        states = [AccountStateOut.model_validate(each, from_attributes=True) for each in accounts]
        return cls(**CustomerOut.of(customer).model_dump(), accounts=states)


class CustomersOut(BaseModel):
    items: list[ListedCustomerOut]
    next_cursor: str | None
