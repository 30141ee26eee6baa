"""Movements of payment rails as requests."""

from typing import Annotated

from pydantic import Field

from api.http.fields import Amount, Currency, In, Metadata, PayeeAccountIn, Text


class RailMovementIn(In):
    """What reached the bank for an account, or is paid out of it. `transaction_id` is the rail's reference of it."""

    account_id: PayeeAccountIn = Field(description="The account's id, or its number")
    amount: Amount
    currency: Currency
    transaction_id: Annotated[str, Text, Field(max_length=100, examples=["bank-2026-11-0042"])]
    metadata: Metadata | None = None
