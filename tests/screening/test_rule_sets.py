"""Rule sets as configurations write them, and what is wrong with those that are none."""

import json
from pathlib import Path
from typing import Any

import pytest

from ledger.transfers import Kind
from rule_files import configured_rules
from screening.rule_sets import RulesInvalid, default_rule_set, rule_set_in
from screening.rules import ScreeningAnswer
from screening.standard_rules import AmountThreshold, DrainedBalance, NewPayee, Velocity
from settings import Settings

FILE = """
[[rules]]
kind = "velocity"
name = "withdrawals_in_an_hour"
kinds = ["withdrawal"]
within_seconds = 3600
count = 5
sum_major = 2000
answer = "review"

[[rules]]
kind = "amount"
from_major = 50000
scaled = true
answer = "decline"

[[rules]]
kind = "new_payee"
from_major = 500

[[rules]]
kind = "drained_balance"
from_major = 1000
within_seconds = 600
percent = 80
kinds = ["deposit", "transfer"]
"""


def test_a_file_has_all_kinds_of_rules(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(FILE)
    found = configured_rules(Settings(rules_file=path))
    assert found.rules == (
        Velocity(3_600, 5, 2_000, False, (Kind.WITHDRAWAL,), ScreeningAnswer.REVIEW, "withdrawals_in_an_hour"),
        AmountThreshold(50_000, ScreeningAnswer.DECLINE, scaled=True),
        NewPayee(500),
        DrainedBalance(1_000, 600, 80, False, (Kind.DEPOSIT, Kind.TRANSFER)),
    )


def test_a_file_in_json_is_the_same_rule_set(tmp_path: Path) -> None:
    rules = [{"kind": "amount", "from_major": 5, "answer": "flag"}]
    (tmp_path / "rules.json").write_text(json.dumps({"rules": rules}))
    (tmp_path / "rules.toml").write_text('[[rules]]\nkind = "amount"\nfrom_major = 5\nanswer = "flag"\n')
    found = [configured_rules(Settings(rules_file=tmp_path / name)) for name in ("rules.json", "rules.toml")]
    assert found[0].id == found[1].id == rule_set_in(rules).id


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "must hold `rules`, a list, and nothing else"),
        ("rule = []", "must hold `rules`, a list, and nothing else"),
        ("rules = [", "rules.toml: "),
        ("[[rules]]\nkind = 'amount'", "rule 1: from_major: is missing"),
    ],
)
def test_a_file_that_is_no_rule_set_is_refused_by_its_name(tmp_path: Path, text: str, error: str) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(text)
    with pytest.raises(RulesInvalid, match=str(path)) as refused:
        configured_rules(Settings(rules_file=path))
    assert error in str(refused.value)


def test_a_file_that_is_not_there_is_refused_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(RulesInvalid, match=r"none\.toml"):
        configured_rules(Settings(rules_file=tmp_path / "none.toml"))


AMOUNT = {"kind": "amount", "from_major": 5}
VELOCITY = {"kind": "velocity", "within_seconds": 60, "count": 3}


@pytest.mark.parametrize(
    ("rules", "error"),
    [
        ({}, "rules: must be a list"),
        ([AMOUNT] * 101, "rules: at most 100"),
        (["amount"], "rule 1: must be an object with a kind"),
        ([{"from_major": 5}], "rule 1: kind: is missing, or no text"),
        (
            [{"kind": "amounts"}],
            "rule 1: kind: there is no kind 'amounts'. Did you mean amount? Known: amount, ",
        ),
        ([AMOUNT | {"form_major": 5}], "rule 1: form_major: amount has no such field. Did you mean from_major?"),
        ([AMOUNT | {"from_major": 0}], "rule 1: from_major: must be a whole number from 1 on"),
        ([AMOUNT | {"from_major": True}], "rule 1: from_major: must be a whole number from 1 on"),
        ([AMOUNT | {"from_major": 2.5}], "rule 1: from_major: must be a whole number from 1 on"),
        ([AMOUNT | {"answer": "allow"}], "rule 1: answer: must be one of flag, review, decline, not 'allow'"),
        ([AMOUNT | {"scaled": 1}], "rule 1: scaled: must be true or false"),
        ([AMOUNT | {"name": "Large!"}], "rule 1: name: use up to 40 small letters, digits and underscores"),
        ([AMOUNT | {"kinds": "transfer"}], "rule 1: kinds: must be a list"),
        ([AMOUNT | {"kinds": []}], "rule 1: kinds: name at least one"),
        ([AMOUNT | {"kinds": ["loan"]}], "rule 1: kinds: must be one of transfer"),
        ([AMOUNT | {"kinds": ["reversal"]}], "rule 1: kinds: a reversal is not screened"),
        ([AMOUNT, AMOUNT], "two rules are named 'amount_decline': give one another name"),
        ([AMOUNT, VELOCITY | {"kinds": ["deposit"]}], "rule 2: kinds: velocity counts what leaves an account"),
        ([{"kind": "velocity", "within_seconds": 60}], "rule 1: count or sum_major: set one of them, or both"),
        ([VELOCITY | {"count": 1}], "rule 1: count: from 2 to 10000"),
        ([VELOCITY | {"within_seconds": 2_678_401}], "rule 1: within_seconds: at most 2678400, which are 31 days"),
    ],
)
def test_a_mistake_in_a_rule_is_named_with_its_place(rules: object, error: str) -> None:
    with pytest.raises(RulesInvalid) as refused:
        rule_set_in(rules)
    assert error in str(refused.value)


def test_all_mistakes_are_named_at_once() -> None:
    with pytest.raises(RulesInvalid) as refused:
        rule_set_in([{"kind": "amount", "answer": "yes"}, {"kind": "none"}])
    assert len(refused.value.errors) == 3


def test_the_id_of_a_rule_set_follows_from_what_its_rules_do() -> None:
    short, spelt_out, other = (
        rule_set_in([rule]).id
        for rule in (AMOUNT, AMOUNT | {"answer": "decline", "scaled": False}, AMOUNT | {"from_major": 6})
    )
    assert short == spelt_out != other


def test_the_contents_of_a_rule_set_make_it_again() -> None:
    kept: list[Any] = default_rule_set(review_from_major=5, decline_from_major=10).contents
    again = rule_set_in(json.loads(json.dumps(kept)))
    assert again == default_rule_set(review_from_major=5, decline_from_major=10)


def test_a_review_threshold_of_zero_switches_reviews_off() -> None:
    names = [rule.name for rule in default_rule_set(review_from_major=0, decline_from_major=None).rules]
    assert names == ["withdrawals_in_a_minute", "large_amount", "listed_payee"]
