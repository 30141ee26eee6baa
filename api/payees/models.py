"""Payees as answers."""

from pydantic import BaseModel, Field

from api.http.fields import CurrencyCode, NumberOut
from api.ownership.owned import Ownerless
from customers.payees.payee import AccountHolder


class PayeeOut(Ownerless):
    """Whom a payment to an account number reaches."""

    number: NumberOut
    masked_name: str = Field(description="The first letter of each of the holder's names", examples=["B*** S***"])
    currency: CurrencyCode


class CounterpartyOut(BaseModel):
    """The other side of a transfer: as much as a payee check shows, and a statement."""

    number: NumberOut
    masked_name: str = Field(description="The first letter of each of the holder's names", examples=["B*** S***"])

    @classmethod
    def of(cls, holder: AccountHolder) -> "CounterpartyOut":
        return cls(number=holder.number, masked_name=holder.masked_name)
