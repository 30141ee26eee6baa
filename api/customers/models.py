"""Customers as requests and answers."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field, SecretStr

from api.accounts.models import AccountOut
from api.http.fields import Email, In, Text
from api.staff.models import ReasonIn
from customers.customer import Customer
from ledger.ids import CustomerId
from staff.permissions import Role


class CustomerOut(BaseModel):
    id: CustomerId
    email: str
    full_name: str
    role: str
    created_at: datetime

    @classmethod
    def of(cls, customer: Customer) -> "CustomerOut":
        return cls.model_validate(customer, from_attributes=True)


class AdminIn(In):
    """An admin from the command line. A registered customer keeps their name and password."""

    email: Email
    full_name: Annotated[str, Text, Field(max_length=200)]
    password: Annotated[SecretStr, Field(min_length=8, max_length=128)] | None = None


class RoleIn(ReasonIn):
    role: Role


class CustomersOut(BaseModel):
    items: list[CustomerOut]
    next_cursor: str | None


class CustomerFileOut(CustomerOut):
    """A customer and their accounts, oldest first."""

    accounts: list[AccountOut]
