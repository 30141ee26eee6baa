"""What a tier allows, and how what was sent is counted by days and months. No database: `test_spending.py` has one."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.limits.sent_totals import Spending
from ledger.limits.tier_limits import DEFAULT_LIMITS, AccountLimits, LimitName, LimitTable
from ledger.money import MINOR_UNIT_DIGITS

LAST_MOMENT = datetime(2026, 11, 30, 23, 59, 59, 999_999, UTC)
MIDNIGHT = LAST_MOMENT + timedelta(microseconds=1)
INDIA = timezone(timedelta(hours=5, minutes=30))


@dataclass(frozen=True)
class Debit:
    at: datetime
    amount: int
    refunded_at: datetime | None


def test_the_defaults_are_the_documented_ones() -> None:
    assert DEFAULT_LIMITS.of(1, "INR") == AccountLimits(5_000_000, 30_000_000, 300_000_000, 30_000_000)
    assert DEFAULT_LIMITS.of(2, "INR") == AccountLimits(20_000_000, 100_000_000, 1_000_000_000, 100_000_000)
    assert {DEFAULT_LIMITS.of(tier, "INR") for tier in range(3, 10)} == {AccountLimits()}
    assert DEFAULT_LIMITS.cap_minor("INR") is None


@pytest.mark.parametrize(
    ("currency", "one_transaction_minor"),
    [("USD", 5_000_000), ("JPY", 5_000_000), ("KWD", 5_000_000), ("IDR", 5_000_000_000), ("TND", 50_000_000)],
)
def test_defaults_scale_with_what_a_unit_of_the_currency_buys(currency: str, one_transaction_minor: int) -> None:
    assert DEFAULT_LIMITS.of(1, currency).one_transaction_minor == one_transaction_minor


@pytest.mark.parametrize("currency", MINOR_UNIT_DIGITS)
def test_every_currency_has_limits_in_whole_major_units(currency: str) -> None:
    limits = DEFAULT_LIMITS.of(1, currency)
    for most in (limits.one_transaction_minor, limits.daily_total_minor, limits.highest_balance_minor):
        assert most is not None
        assert most > 0
        assert most % 10 ** MINOR_UNIT_DIGITS[currency] == 0


def test_a_setting_changes_one_limit_of_one_tier_and_leaves_the_others() -> None:
    table = LimitTable({"*": {"1": {"daily_total": 10}}, "JPY": {"1": {"daily_total": None}, "3": {"daily_total": 7}}})
    assert table.of(1, "USD") == AccountLimits(5_000_000, 1_000, 300_000_000, 30_000_000)
    assert table.of(1, "KWD").daily_total_minor == 1_000
    assert table.of(1, "JPY").daily_total_minor is None
    assert table.of(3, "JPY") == AccountLimits(daily_total_minor=7)
    assert table.of(2, "USD") == DEFAULT_LIMITS.of(2, "USD")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"INX": {}}, "no currency"),
        ({"INR": {"0": {}}}, "no tier"),
        ({"INR": {"one": {}}}, "no tier"),
        ({"INR": {"1": {"daily": 5}}}, "no limit"),
        ({"INR": {"1": {"daily_total": 0}}}, "at least 1"),
    ],
)
def test_a_setting_for_what_does_not_exist_is_refused(
    changes: dict[str, dict[str, dict[str, int | None]]], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        LimitTable(changes)


def test_the_cap_counts_where_the_tier_allows_more() -> None:
    table = LimitTable(cap_major=10_000)
    for tier, most in ((1, 1_000_000), (3, 1_000_000)):
        one = next(table.sending(tier, "INR", Spending(), MIDNIGHT))
        assert (one.name, one.limit_minor, one.resets_at) == (LimitName.ONE_TRANSACTION, most, None)


def test_a_day_and_a_month_end_at_midnight_of_utc() -> None:
    spent = Spending().plus(5, LAST_MOMENT)
    assert (spent.at(LAST_MOMENT).day_minor, spent.at(LAST_MOMENT).month_minor) == (5, 5)
    assert (spent.at(MIDNIGHT).day_minor, spent.at(MIDNIGHT).month_minor) == (0, 0)
    # The same moments, as a clock in India shows them.
    assert spent.at(LAST_MOMENT.astimezone(INDIA)) == spent.at(LAST_MOMENT)
    assert spent.at(MIDNIGHT.astimezone(INDIA)) == spent.at(MIDNIGHT)
    next_day = Spending().plus(5, LAST_MOMENT - timedelta(days=1)).at(LAST_MOMENT)
    assert (next_day.day_minor, next_day.month_minor) == (0, 5)


@pytest.mark.parametrize(
    ("now", "day", "month"),
    [
        (LAST_MOMENT, MIDNIGHT, MIDNIGHT),
        (MIDNIGHT, MIDNIGHT + timedelta(days=1), datetime(2027, 1, 1, tzinfo=UTC)),
        (datetime(2028, 2, 28, 12, tzinfo=UTC), datetime(2028, 2, 29, tzinfo=UTC), datetime(2028, 3, 1, tzinfo=UTC)),
        (datetime(2026, 12, 31, 12, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_total_says_when_it_resets(now: datetime, day: datetime, month: datetime) -> None:
    _, daily, monthly = DEFAULT_LIMITS.sending(1, "USD", Spending(), now)
    assert (daily.resets_at, monthly.resets_at) == (day, month)


def test_a_clock_that_is_set_back_over_midnight_brings_no_day_back() -> None:
    spent = Spending().plus(5, MIDNIGHT)
    assert spent.at(LAST_MOMENT) == spent
    assert spent.not_before(LAST_MOMENT) == MIDNIGHT
    assert spent.plus(2, LAST_MOMENT) == Spending(MIDNIGHT.date(), 7, 7)
    assert spent.not_before(MIDNIGHT) == MIDNIGHT
    # An edited day in the future dates no entry there.
    assert Spending(MIDNIGHT.date() + timedelta(days=9)).not_before(MIDNIGHT) == MIDNIGHT


def test_a_counter_that_was_edited_never_stops_a_refund_or_a_debit() -> None:
    assert Spending(MIDNIGHT.date(), 1, 2).minus(5, MIDNIGHT) == Spending(MIDNIGHT.date(), 0, 0)
    most = 2**63 - 1
    assert Spending(MIDNIGHT.date(), most, most).plus(5, MIDNIGHT) == Spending(MIDNIGHT.date(), most, most)


@st.composite
def histories(draw: st.DrawFn) -> list[Debit]:
    """Debits in the order of their time over some months, some refunded at once and some days later."""
    at, debits = LAST_MOMENT - timedelta(days=45), []
    for _ in range(draw(st.integers(0, 12))):
        at += timedelta(hours=draw(st.integers(0, 300)))
        later = draw(st.sampled_from([None, None, 0, 1, 30, 400, 1_000]))
        debits.append(Debit(at, draw(st.integers(1, 9)), None if later is None else at + timedelta(hours=later)))
    return debits


@given(histories(), st.integers(0, 2_000))
def test_the_counters_are_the_sums_of_debits_that_were_not_refunded(debits: list[Debit], hours: int) -> None:
    now = LAST_MOMENT - timedelta(days=45) + timedelta(hours=hours)
    events = [(debit.at, number, False, debit) for number, debit in enumerate(debits)]
    events += [(debit.refunded_at, number, True, debit) for number, debit in enumerate(debits) if debit.refunded_at]
    spent = Spending()
    for when, _, is_refund, debit in sorted(events, key=lambda event: event[:3]):
        if when <= now:
            spent = spent.minus(debit.amount, debit.at) if is_refund else spent.plus(debit.amount, when)
    kept = [debit for debit in debits if debit.at <= now and not (debit.refunded_at and debit.refunded_at <= now)]
    today = spent.at(now)
    assert today.day_minor == sum(debit.amount for debit in kept if debit.at.date() == now.date())
    months = [debit.amount for debit in kept if (debit.at.year, debit.at.month) == (now.year, now.month)]
    assert today.month_minor == sum(months)
