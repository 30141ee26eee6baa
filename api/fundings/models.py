"""Fundings as requests."""

from typing import Annotated

from pydantic import Field

from api.http.fields import AccountIdIn, Amount, Currency, In, Text


class FundingIn(In):
    """How much the system gives to an account, and why. `transaction_id` is unique among the fundings of a currency."""

    account_id: AccountIdIn
    amount: Amount
    currency: Currency
    reason: Annotated[
        str, Text, Field(max_length=140, description="Why, for the record; the payee reads it", examples=["Welcome"])
    ]
    transaction_id: Annotated[str, Text, Field(max_length=100, examples=["bank-2026-11-0042"])] | None = None
