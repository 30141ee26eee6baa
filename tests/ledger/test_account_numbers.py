"""Account numbers: their check digits, in Python and in PostgreSQL."""

import re

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from customers.postgres import Customers
from ledger.account_numbers import compact, is_account_number, looks_like_a_number
from tests.connections import Connection
from tests.orders import holder

_DIGITS = st.text("0123456789", min_size=12, max_size=12)


def numbered(digits: str) -> str:
    return f"RM{98 - int(digits + '272200') % 97:02d}{digits}"


@given(_DIGITS, st.integers(2, 15), st.integers(1, 9))
def test_check_digits_find_every_wrong_digit(digits: str, place: int, by: int) -> None:
    number = numbered(digits)
    assert is_account_number(number)
    wrong = str((int(number[place]) + by) % 10)
    assert not is_account_number(number[:place] + wrong + number[place + 1 :])


@given(_DIGITS, st.integers(2, 14))
def test_check_digits_find_every_two_neighbours_that_were_swapped(digits: str, place: int) -> None:
    number = numbered(digits)
    swapped = number[:place] + number[place + 1] + number[place] + number[place + 2 :]
    assert is_account_number(swapped) == (swapped == number)


@pytest.mark.parametrize(
    "text", ["", "RM", "rm04404040404040", "RM0440404040404", "IN04404040404040", "RM0440404040404x"]
)
def test_other_texts_are_no_account_number(text: str) -> None:
    assert not is_account_number(text)


def test_a_number_may_be_written_in_groups_and_small_letters() -> None:
    assert compact("rm04 4040 4040 4040 ") == "RM04404040404040"
    assert looks_like_a_number("rm04 4040 4040 4041")
    assert not looks_like_a_number("acc_k5qd4ahyfpuxzmo2c3r7wn6tbe")


async def test_postgresql_makes_numbers_whose_check_digits_python_accepts(owner: Connection) -> None:
    made = [
        row["number"] for row in await owner.fetch("SELECT new_account_number() AS number FROM generate_series(1, 200)")
    ]
    assert all(is_account_number(number) for number in made)
    assert len(set(made)) == 200


async def test_an_account_keeps_its_number_and_no_other_account_gets_it(
    customers: Customers, owner: Connection
) -> None:
    ada, ben = await holder(customers), await holder(customers)
    number = await owner.fetchval("SELECT number FROM accounts WHERE id = $1", ada.account_id)
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="keeps its number"):
        await owner.execute("UPDATE accounts SET number = new_account_number() WHERE id = $1", ada.account_id)
    with pytest.raises(asyncpg.UniqueViolationError):
        await owner.execute(
            "INSERT INTO accounts (id, owner_id, currency, head_hash, number) "
            "SELECT 'acc_' || repeat('a', 26), $1, 'INR', sha256(''), $2",
            ben.id,
            number,
        )
    wrong = re.sub(r"(\d)$", lambda last: str((int(last[0]) + 1) % 10), number)
    with pytest.raises(asyncpg.CheckViolationError):
        await owner.execute(
            "INSERT INTO accounts (id, owner_id, currency, head_hash, number) "
            "SELECT 'acc_' || repeat('a', 26), $1, 'INR', sha256(''), $2",
            ben.id,
            wrong,
        )
