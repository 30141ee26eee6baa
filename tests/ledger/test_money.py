"""Amounts: their text, their currencies, and major units."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.money import MAX_AMOUNT_MINOR, MINOR_UNIT_DIGITS, Money, is_currency, major_to_minor


@pytest.mark.parametrize(
    ("amount_minor", "currency", "text"),
    [
        (125_500, "INR", "₹1,255.00"),
        (1_250, "KES", "KES 12.50"),
        (1_200, "JPY", "¥1,200"),
        (0, "JPY", "¥0"),
        (1_234_567, "BHD", "BHD 1,234.567"),
        (5, "BHD", "BHD 0.005"),
        (-5, "USD", "-$0.05"),
        (-1_000_000_00, "EUR", "-€1,000,000.00"),
        (-1, "JPY", "-¥1"),
        (MAX_AMOUNT_MINOR, "USD", "$90,071,992,547,409.91"),
    ],
)
def test_money_reads_as_people_write_it(amount_minor: int, currency: str, text: str) -> None:
    assert str(Money(amount_minor, currency)) == text


@given(st.integers(-MAX_AMOUNT_MINOR, MAX_AMOUNT_MINOR), st.sampled_from(sorted(MINOR_UNIT_DIGITS)))
def test_no_digit_of_an_amount_is_lost_in_its_text(amount_minor: int, currency: str) -> None:
    text = str(Money(amount_minor, currency))
    assert int(re.sub(r"[^0-9]", "", text)) == abs(amount_minor)
    assert text.startswith("-") == (amount_minor < 0)
    assert len(text.partition(".")[2]) == MINOR_UNIT_DIGITS[currency]


@pytest.mark.parametrize(
    ("currency", "amount_minor"), [("USD", 1_000_000), ("JPY", 10_000), ("BHD", 10_000_000), ("KRW", 10_000)]
)
def test_major_units_become_minor_ones_by_the_currency(currency: str, amount_minor: int) -> None:
    assert major_to_minor(10_000, currency) == amount_minor


def test_metals_test_codes_and_other_words_are_no_currency() -> None:
    assert not any(map(is_currency, ("XAU", "XXX", "XTS", "usd", "", "DOLLAR")))


def test_the_digits_of_a_currency_are_those_of_iso_4217() -> None:
    wanted = {"INR": 2, "USD": 2, "EUR": 2, "NGN": 2, "MGA": 2, "MRU": 2, "JPY": 0, "KRW": 0, "CLP": 0, "ISK": 0}
    wanted |= {"KWD": 3, "BHD": 3, "JOD": 3, "OMR": 3, "TND": 3, "IQD": 3, "LYD": 3}
    assert {code: MINOR_UNIT_DIGITS[code] for code in wanted} == wanted
