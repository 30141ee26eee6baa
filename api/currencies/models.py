"""Currencies as answers."""

from pydantic import BaseModel, Field

from api.http.fields import CurrencyCode


class CurrencyOut(BaseModel):
    """A currency that an account can hold."""

    code: CurrencyCode
    digits: int = Field(
        description="Digits after the decimal point: an `amount` of 1255 is 12.55 with 2, and 1.255 with 3",
        examples=[2],
    )
    symbol: str | None = Field(description="How amounts for people begin; null: with the code", examples=["$"])


class CurrenciesOut(BaseModel):
    default_currency: CurrencyCode
    items: list[CurrencyOut]
