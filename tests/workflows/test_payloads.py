"""Payloads: whatever one of the two converters wrote, the other one reads as the same value."""

from typing import Any

import pytest
from temporalio.converter import DataConverter, PayloadConverter

from ledger.ids import AccountId, CustomerId, DisputeId, TransferId
from ledger.recovery import Stranded, StrandedTransfers
from ledger.refusals import FraudDeclined
from ledger.transfers import Ending, Opened, Standing, State, Step, TransferOrder
from reviews.review import Decision, Review, ReviewTerms, Ruling
from screening.rules import ScreeningAnswer, Verdict
from tests.orders import order
from workflows.payloads import DATA_CONVERTER

OURS = DATA_CONVERTER.payload_converter
SDK = DataConverter().payload_converter

ORDER = order(CustomerId("cus_a"), AccountId("acc_a"), AccountId("acc_b"), 2**53 - 1, note="für Ada ₦")
STEP = Step(TransferId("trf_a"), 1, AccountId("acc_a"))
STANDING = Standing(TransferId("trf_a"), 3, State.FAILED, FraudDeclined().failure)
TERMS = ReviewTerms(100, 50, 2)
DECISION = Decision("cus_b", Ruling.REJECT, "ticket 4711")

VALUES: list[tuple[Any, Any]] = [
    (ORDER, TransferOrder),
    (STEP, Step),
    (STANDING, Standing),
    (Opened(STANDING, FraudDeclined().failure, 7), Opened),
    (Ending(STEP), Ending),
    (Verdict(ScreeningAnswer.REVIEW, ["amount_threshold"]), Verdict),
    (Review(STANDING, TERMS, [DECISION, DECISION], 9), Review),
    (StrandedTransfers([Stranded(ORDER, State.DEBITED)], more=True), StrandedTransfers),
    ([DisputeId("dsp_a")], list[DisputeId]),
    (TransferId("trf_a"), TransferId),
    (None, str | None),
    ("half a pair: \ud800", str),
    (True, bool),
    (7, int),
    (2**70, int),
    ({"typed": ["in Temporal", 1.5, None]}, Any),
    (b"bytes", bytes),
    (None, type(None)),
]


@pytest.mark.parametrize(("value", "hint"), VALUES, ids=[str(hint) for _, hint in VALUES])
@pytest.mark.parametrize("write", [OURS, SDK], ids=["ours", "sdk"])
@pytest.mark.parametrize("read", [OURS, SDK], ids=["ours", "sdk"])
def test_either_converter_reads_what_the_other_wrote(
    value: object, hint: type, write: PayloadConverter, read: PayloadConverter
) -> None:
    payloads = write.to_payloads([value])
    assert read.from_payloads(payloads, [hint]) == [value]


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ({"transfer_id": "trf_a"}, Step),
        ({"transfer_id": "trf_a", "attempt": "one"}, Step),
        ({"transfer_id": 7, "attempt": 1}, Step),
        ("trf_a", Step),
        ("unknown", ScreeningAnswer),
        (1, bool),
        (1, str),
        (1, str | None),
    ],
)
@pytest.mark.parametrize("converter", [OURS, SDK], ids=["ours", "sdk"])
def test_a_payload_that_holds_no_value_of_its_type_is_refused(
    given: object, hint: type, converter: PayloadConverter
) -> None:
    payloads = SDK.to_payloads([given])
    with pytest.raises((TypeError, ValueError)):
        converter.from_payloads(payloads, [hint])


def test_an_unknown_field_is_ignored_and_a_missing_one_takes_its_default() -> None:
    payloads = SDK.to_payloads([{"transfer_id": "trf_a", "attempt": 1, "of_a_later_release": True}])
    assert OURS.from_payloads(payloads, [Step]) == [Step(TransferId("trf_a"), 1)]


def test_a_value_without_a_type_hint_is_what_its_json_says() -> None:
    assert OURS.from_payloads(SDK.to_payloads([STEP, "text"])) == [
        {"transfer_id": "trf_a", "attempt": 1, "account_id": "acc_a"},
        "text",
    ]
