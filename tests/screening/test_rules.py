"""What each rule answers to an order and its facts."""

from typing import Any

import pytest

from ledger.ids import WORLD, new_account_id, new_customer_id
from ledger.transfers import Kind, TransferOrder
from screening.facts import AvailableBalance, Facts, Movements, MovementsWithin, Need, PaidBefore, ReceivedWithin
from screening.rule_sets import default_rule_set
from screening.rules import Finding, ScreeningAnswer, ScreeningRule, Verdict, findings_of, needs_of, verdict_of
from screening.standard_rules import AmountThreshold, DrainedBalance, NewPayee, Velocity
from tests.orders import order, reversal

OWNER = new_customer_id()
MINE, THEIRS = new_account_id(), new_account_id()
WITHDRAWALS = MovementsWithin((Kind.WITHDRAWAL,), 60)
DEPOSITS = ReceivedWithin((Kind.DEPOSIT,), 600)

payment = order(OWNER, MINE, THEIRS, 1_000_000)
withdrawal = order(OWNER, MINE, WORLD, 1_000_000)
deposit = order(OWNER, WORLD, MINE, 1_000_000)


def answer(rule: ScreeningRule, wanted: TransferOrder, **values: Any) -> ScreeningAnswer:
    """The rule's answer, once it has seen what it asked for, and nothing else."""
    known: dict[Need, Any] = {WITHDRAWALS: values.get("withdrawals"), DEPOSITS: values.get("deposits")}
    known |= {PaidBefore(): values.get("paid_before"), AvailableBalance(): values.get("available")}
    seen = Facts({need: known[need] for need in rule.needs(wanted)})
    return verdict_of(findings_of(wanted, [rule], seen)).answer


@pytest.mark.parametrize(
    ("currency", "amount_minor"), [("USD", 1_000_000), ("JPY", 10_000), ("BHD", 10_000_000), ("KRW", 10_000)]
)
def test_a_threshold_in_major_units_declines_from_its_amount_on(currency: str, amount_minor: int) -> None:
    threshold = AmountThreshold(10_000)
    below, at = (order(OWNER, MINE, THEIRS, amount, currency=currency) for amount in (amount_minor - 1, amount_minor))
    assert findings_of(below, [threshold]) == []
    verdict = verdict_of(findings_of(at, [threshold]), "rls")
    assert verdict == Verdict(ScreeningAnswer.DECLINE, [threshold.name], "rls")


@pytest.mark.parametrize(
    ("currency", "amount_minor"), [("USD", 1_000_000), ("JPY", 1_000_000), ("KWD", 1_000_000), ("VND", 10_000_000)]
)
def test_a_scaled_threshold_is_worth_about_the_same_in_every_currency(currency: str, amount_minor: int) -> None:
    threshold = AmountThreshold(10_000, ScreeningAnswer.FLAG, scaled=True)
    below, at = (order(OWNER, MINE, THEIRS, amount, currency=currency) for amount in (amount_minor - 1, amount_minor))
    assert answer(threshold, below) is ScreeningAnswer.ALLOW
    assert answer(threshold, at) is ScreeningAnswer.FLAG


@pytest.mark.parametrize("kind", [payment, withdrawal, deposit], ids=["transfer", "withdrawal", "deposit"])
def test_by_default_large_amounts_are_flagged_larger_ones_reviewed_and_none_is_declined(kind: TransferOrder) -> None:
    rules = [
        rule
        for rule in default_rule_set(review_from_major=None, decline_from_major=None).rules
        if isinstance(rule, AmountThreshold)
    ]
    found = [
        verdict_of(findings_of(order(OWNER, kind.source_account_id, kind.destination_account_id, amount), rules))
        for amount in (999_999, 1_000_000, 2_499_999, 2_500_000, 2**53 - 1)
    ]
    assert [verdict.answer.label for verdict in found] == ["allow", "flag", "flag", "review", "review"]
    assert found[-1].rules == ["amount_review"]


@pytest.mark.parametrize(("count", "flagged"), [(2, False), (3, True), (4, True)])
def test_three_withdrawals_within_a_minute_are_flagged(count: int, flagged: bool) -> None:
    rule = Velocity(within_seconds=60, count=3, kinds=(Kind.WITHDRAWAL,))
    assert (answer(rule, withdrawal, withdrawals=Movements(count, count)) is ScreeningAnswer.FLAG) == flagged


def test_a_velocity_by_sum_counts_in_the_currency_of_the_account() -> None:
    rule = Velocity(within_seconds=60, sum_major=500, kinds=(Kind.WITHDRAWAL,), answer=ScreeningAnswer.REVIEW)
    assert answer(rule, withdrawal, withdrawals=Movements(1, 49_999)) is ScreeningAnswer.ALLOW
    assert answer(rule, withdrawal, withdrawals=Movements(1, 50_000)) is ScreeningAnswer.REVIEW


def test_a_plain_transfer_needs_no_facts_by_default() -> None:
    rules = default_rule_set(review_from_major=None, decline_from_major=None).rules
    assert needs_of(payment, rules) == needs_of(deposit, rules) == frozenset()
    assert needs_of(withdrawal, rules) == {WITHDRAWALS}


@pytest.mark.parametrize(("paid_before", "expected"), [(False, ScreeningAnswer.REVIEW), (True, ScreeningAnswer.ALLOW)])
def test_a_first_large_transfer_to_a_payee_is_reviewed(paid_before: bool, expected: ScreeningAnswer) -> None:
    assert answer(NewPayee(10_000), payment, paid_before=paid_before) is expected


def test_a_small_transfer_to_a_new_payee_costs_no_facts() -> None:
    assert NewPayee(10_001).needs(payment) == NewPayee(1).needs(withdrawal) == ()
    assert answer(NewPayee(10_001), payment) is ScreeningAnswer.ALLOW


@pytest.mark.parametrize(
    ("received", "available", "flagged"),
    [(500_000, 1_000_000, True), (500_000, 1_111_112, False), (499_999, 1_000_000, False)],
    ids=["drained", "less than nine tenths leave", "too little came in"],
)
def test_a_balance_that_leaves_right_after_a_deposit_is_flagged(received: int, available: int, flagged: bool) -> None:
    rule = DrainedBalance(from_major=5_000, within_seconds=600)
    found = answer(rule, withdrawal, deposits=Movements(1, received), available=available)
    assert (found is ScreeningAnswer.FLAG) == flagged


def test_a_withdrawal_too_small_to_drain_a_deposit_costs_no_facts() -> None:
    rule = DrainedBalance(from_major=20_000, within_seconds=600)
    assert (rule.needs(withdrawal), rule.needs(deposit)) == ((), ())


def test_no_rule_looks_at_a_reversal() -> None:
    back = reversal(payment, OWNER, 2**53 - 1)
    rules: list[ScreeningRule] = [
        AmountThreshold(1),
        Velocity(within_seconds=60, count=2),
        NewPayee(1),
        DrainedBalance(from_major=1, within_seconds=60),
    ]
    assert (needs_of(back, rules), findings_of(back, rules)) == (frozenset(), [])


def test_the_strictest_answer_counts_and_names_the_rules_that_gave_it() -> None:
    found = [
        Finding(ScreeningAnswer.FLAG, "a", "A."),
        Finding(ScreeningAnswer.REVIEW, "b", "B."),
        Finding(ScreeningAnswer.REVIEW, "c", "C."),
        Finding(ScreeningAnswer.REVIEW, "b", "B again."),
    ]
    assert verdict_of(found) == Verdict(ScreeningAnswer.REVIEW, ["b", "c"])
    assert verdict_of([]) == Verdict(ScreeningAnswer.ALLOW, [])
