"""Each choice of accounts loads what it says, and the same seed the same accounts."""

from collections import Counter
from pathlib import Path

import pytest

from bench.traffic.population import Choice, Holder, order_between, pairs, read, save
from ledger.ids import new_account_id, new_customer_id
from ledger.workflow_ids import transfer_workflow_id

HOLDERS = [Holder(new_customer_id(), new_account_id(), f"token {number}") for number in range(50)]


@pytest.mark.parametrize("choice", Choice)
def test_nobody_pays_themselves_and_a_seed_repeats_its_pairs(choice: Choice) -> None:
    draw, again = pairs(choice, HOLDERS, 7), pairs(choice, HOLDERS, 7)
    drawn = [draw() for _ in range(500)]
    assert drawn == [again() for _ in range(500)]
    assert all(source is not destination for source, destination in drawn)


def test_a_hot_account_is_in_every_pair_and_ten_accounts_are_ten() -> None:
    def drawn(choice: Choice) -> list[tuple[Holder, Holder]]:
        draw = pairs(choice, HOLDERS, 1)
        return [draw() for _ in range(1000)]

    assert {destination for _, destination in drawn(Choice.HOT_PAYEE)} == {HOLDERS[0]}
    assert {source for source, _ in drawn(Choice.HOT_PAYER)} == {HOLDERS[0]}
    assert len({holder for pair in drawn(Choice.TEN_ACCOUNTS) for holder in pair}) == 10
    assert len({holder for pair in drawn(Choice.UNIFORM) for holder in pair}) == 50
    by_use = Counter(holder.account_id for pair in drawn(Choice.ZIPF) for holder in pair).most_common()
    assert by_use[0][0] == HOLDERS[0].account_id
    assert by_use[0][1] > 5 * by_use[10][1]


def test_the_accounts_of_a_run_are_private_and_come_back_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "population.json"
    save(HOLDERS, path)
    assert read(path) == HOLDERS
    assert path.stat().st_mode & 0o077 == 0


def test_every_system_gets_the_order_that_the_api_would_make() -> None:
    one, other = order_between((HOLDERS[0], HOLDERS[1]), "key"), order_between((HOLDERS[0], HOLDERS[1]), "key")
    assert one == other
    assert one.workflow_id == transfer_workflow_id(HOLDERS[0].customer_id, "key")
