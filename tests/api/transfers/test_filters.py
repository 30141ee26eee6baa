"""The filters of lists of transfers, for customers and for staff."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.api.people import Person


async def found(person: Person, **filters: object) -> list[str]:
    """The ids of the list for this person; staff get the same from the list of all."""
    answer = await person.get("/v1/transfers", **filters)
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.json()["items"]]


@pytest.fixture
async def moved(ada: Person, ben: Person) -> dict[str, dict[str, Any]]:
    """Three movements of Ada's, oldest first, after her first deposit."""
    path = f"/v1/accounts/{ada.account_id}/deposits"
    body = {"amount": 700, "currency": "USD", "transaction_id": "bank-7"}
    deposit = (await ada.post(path, body)).json()
    small = (await ada.pay(ben, 100)).json()
    large = (await ada.pay(ben, 5_000)).json()
    return {"deposit": deposit, "small": small, "large": large}


async def test_a_list_is_filtered_by_kind_amount_reference_and_time(
    ada: Person, moved: dict[str, dict[str, Any]]
) -> None:
    deposit, small, large = (moved[name] for name in ("deposit", "small", "large"))
    assert await found(ada, kind="transfer") == [large["id"], small["id"]]
    assert await found(ada, kind="transfer", max_amount=100) == [small["id"]]
    assert await found(ada, min_amount=700, max_amount=5_000) == [large["id"], deposit["id"]]
    assert await found(ada, transaction_id="bank-7") == [deposit["id"]]
    assert await found(ada, transaction_id="bank-8") == []
    assert await found(ada, created_after=small["created_at"]) == [large["id"], small["id"]]
    assert await found(ada, created_after=small["created_at"], created_before=large["created_at"]) == [small["id"]]
    assert await found(ada, state="completed", kind="deposit", account_id=ada.account_id, min_amount=700) == [
        deposit["id"],
        (await ada.get("/v1/transfers")).json()["items"][-1]["id"],
    ]


async def test_a_filtered_list_has_pages(ada: Person, moved: dict[str, dict[str, Any]]) -> None:
    first = (await ada.get("/v1/transfers", kind="transfer", limit=1)).json()
    second = (await ada.get("/v1/transfers", kind="transfer", limit=1, cursor=first["next_cursor"])).json()
    assert [*first["items"], *second["items"]] == [moved["large"], moved["small"]]
    assert second["next_cursor"] is None


async def test_a_filter_shows_no_movement_of_others(ben: Person, moved: dict[str, dict[str, Any]]) -> None:
    assert await found(ben, transaction_id="bank-7") == []
    assert await found(ben, min_amount=100) == [moved["large"]["id"], moved["small"]["id"]]


async def test_staff_find_a_movement_by_its_reference(admin: Person, moved: dict[str, dict[str, Any]]) -> None:
    listed = (await admin.get("/v1/admin/transfers", transaction_id="bank-7")).json()["items"]
    assert [item["id"] for item in listed] == [moved["deposit"]["id"]]


@pytest.mark.parametrize(
    "filters",
    [
        {"kind": "gift"},
        {"state": "lost"},
        {"min_amount": 0},
        {"min_amount": "1.5"},
        {"created_after": "yesterday"},
        {"created_after": (datetime(2026, 11, 1) - timedelta(days=1)).isoformat()},  # noqa: DTZ001 - without a zone
        {"transaction_id": ""},
        {"transaction_id": "a\u202eb"},
        {"account_id": "acc_\0"},
    ],
)
async def test_a_filter_that_is_not_valid_is_refused(ada: Person, filters: dict[str, Any]) -> None:
    answer = await ada.get("/v1/transfers", **filters)
    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")
    assert [error["field"] for error in answer.json()["errors"]] == [f"query.{next(iter(filters))}"]
