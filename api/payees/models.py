"""Payees as answers."""

from pydantic import Field

from api.http.fields import CurrencyCode, NumberOut
from api.ownership.owned import Ownerless


class PayeeOut(Ownerless):
    """Whom a payment to an account number reaches."""

    number: NumberOut
    masked_name: str = Field(description="The first letter of each of the holder's names", examples=["B*** S***"])
    currency: CurrencyCode
