"""Workflow IDs: what they look like, that no two are equal, and that Temporal keeps all of each."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.ids import CustomerId, DisputeId, TransferId
from ledger.transfers import MAX_ATTEMPTS
from ledger.workflow_ids import (
    MAX_WORKFLOW_ID,
    dispute_named_in,
    dispute_workflow_id,
    recovery_workflow_id,
    transfer_resumed_by,
    transfer_workflow_id,
)

OWNER = CustomerId("cus_" + "a" * 26)
TRANSFER = TransferId("trf_" + "b" * 26)
DISPUTE = DisputeId("dsp_" + "c" * 26)
OWNERS = st.sampled_from([CustomerId(f"cus_{letter * 26}") for letter in "abz27"])
KEYS = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=255) | st.text(
    "#% 2/~", min_size=1, max_size=255
)
ATTEMPTS = st.integers(1, MAX_ATTEMPTS)


@pytest.mark.parametrize(
    ("key", "attempt", "end"),
    [
        ("rent-november", 1, "rent-november"),
        ("rent-november", 2, "rent-november #2"),
        ("50% of rent/november #1", 3, "50%25 of rent/november %231 #3"),
        ("k" * 212, 3, f"{'k' * 212} #3"),
        ("k" * 213, 1, f"{'k' * 178}%~8e1e2b957493d887d7daf1ee1f01a2b0"),
    ],
)
def test_the_workflow_id_of_a_transfer_never_changes_from_one_release_to_the_next(
    key: str, attempt: int, end: str
) -> None:
    assert transfer_workflow_id(OWNER, key, attempt) == f"transfer/cus_{'a' * 26}/{end}"


@given(st.lists(st.tuples(OWNERS, KEYS, ATTEMPTS), unique=True, min_size=2, max_size=5))
def test_other_customers_keys_and_attempts_have_other_workflow_ids(names: list[tuple[CustomerId, str, int]]) -> None:
    assert len({transfer_workflow_id(*name) for name in names}) == len(names)


@given(KEYS, st.integers(2, MAX_ATTEMPTS))
def test_a_key_that_ends_like_a_later_attempt_has_a_workflow_id_of_its_own(key: str, attempt: int) -> None:
    later = transfer_workflow_id(OWNER, key, attempt)
    copied = later.removeprefix(transfer_workflow_id(OWNER, ""))
    assert transfer_workflow_id(OWNER, f"{key} #{attempt}") != later
    assert transfer_workflow_id(OWNER, copied) != later


@given(OWNERS, KEYS, ATTEMPTS)
def test_temporal_keeps_all_of_a_transfers_workflow_id(owner_id: CustomerId, key: str, attempt: int) -> None:
    assert len(transfer_workflow_id(owner_id, key, attempt)) <= MAX_WORKFLOW_ID


def test_a_workflow_id_of_recovery_names_its_transfer_and_its_attempt() -> None:
    assert recovery_workflow_id(TRANSFER, 2) == f"recover/{TRANSFER}/2"
    assert transfer_resumed_by(recovery_workflow_id(TRANSFER, 2)) == TRANSFER


@pytest.mark.parametrize(
    "other",
    [
        transfer_workflow_id(OWNER, recovery_workflow_id(TRANSFER, 1)),
        dispute_workflow_id(DISPUTE),
        f"recover/{TRANSFER}",
        f"recover/{TRANSFER}/1/again",
    ],
)
def test_no_other_workflow_resumes_a_transfer(other: str) -> None:
    assert transfer_resumed_by(other) is None


def test_the_workflow_id_of_a_dispute_as_a_key_names_the_dispute() -> None:
    assert dispute_workflow_id(DISPUTE) == f"dispute/{DISPUTE}"
    assert dispute_named_in(dispute_workflow_id(DISPUTE)) == DISPUTE


@pytest.mark.parametrize("key", ["ticket-4711", DISPUTE, f"disputes/{DISPUTE}", f"my/dispute/{DISPUTE}"])
def test_another_key_names_no_dispute(key: str) -> None:
    assert dispute_named_in(key) is None
