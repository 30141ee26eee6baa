"""What screening allows and declines."""

import pytest

from ledger.ids import new_account_id, new_customer_id
from screening.rules import AmountThreshold, ScreeningAnswer, Verdict, screen
from tests.orders import order

OWNER = new_customer_id()
MINE, THEIRS = new_account_id(), new_account_id()


@pytest.mark.parametrize(
    ("currency", "amount_minor"), [("USD", 1_000_000), ("JPY", 10_000), ("BHD", 10_000_000), ("KRW", 10_000)]
)
def test_a_threshold_in_major_units_declines_from_its_amount_on(currency: str, amount_minor: int) -> None:
    threshold = AmountThreshold(10_000)
    below, at = (order(OWNER, MINE, THEIRS, amount, currency=currency) for amount in (amount_minor - 1, amount_minor))
    assert screen(below, [threshold]).answer is ScreeningAnswer.ALLOW
    assert screen(at, [threshold]) == Verdict(ScreeningAnswer.DECLINE, [threshold.name])
