"""How ids are made, and that the id of a transfer follows from its owner and key."""

from hypothesis import given
from hypothesis import strategies as st

from ledger.ids import (
    ACCOUNT_ID,
    CUSTOMER_ID,
    TRANSFER_ID,
    CustomerId,
    new_account_id,
    new_customer_id,
    transfer_id_for,
)

KEYS = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=255)
OWNERS = st.sampled_from([CustomerId(f"cus_{letter * 26}") for letter in "abz27"])


@given(OWNERS, KEYS)
def test_a_key_of_a_customer_always_names_the_same_transfer(owner_id: CustomerId, key: str) -> None:
    assert transfer_id_for(owner_id, key) == transfer_id_for(owner_id, key)
    assert TRANSFER_ID.fullmatch(transfer_id_for(owner_id, key))


def test_the_id_of_a_transfer_never_changes_from_one_release_to_the_next() -> None:
    owner_id = CustomerId("cus_" + "a" * 26)
    assert transfer_id_for(owner_id, "order 1") == "trf_fpkhognvyng5na2mjpi5gqo7ke"


@given(st.lists(st.tuples(OWNERS, KEYS), unique=True, min_size=2, max_size=6))
def test_other_keys_and_other_customers_name_other_transfers(names: list[tuple[CustomerId, str]]) -> None:
    assert len({transfer_id_for(*name) for name in names}) == len(names)


def test_new_ids_differ_and_carry_their_kind() -> None:
    assert len({new_account_id() for _ in range(100)} | {new_customer_id() for _ in range(100)}) == 200
    assert ACCOUNT_ID.fullmatch(new_account_id())
    assert CUSTOMER_ID.fullmatch(new_customer_id())
