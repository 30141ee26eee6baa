"""Filters of the lists beside transfers and customers: each narrows its list, and is refused where it is not valid."""

from typing import Any

import pytest

from customers.documents.sandbox import REVIEW_NUMBER
from tests.api.people import Person

LONG_AGO, LATER = "2020-01-01T00:00:00Z", "2120-01-01T00:00:00+05:30"


async def listed(person: Person, path: str, **filters: object) -> list[dict[str, Any]]:
    answer = await person.get(path, **filters)
    assert answer.status_code == 200, (path, filters, answer.text)
    return list(answer.json()["items"])


async def test_a_statement_is_filtered_by_leg_amount_and_time(ada: Person, ben: Person, operator: Person) -> None:
    for amount in (100, 5_000):
        await ada.pay(ben, amount)
    await ben.pay(ada, 100)
    for person, path in (
        (ada, f"/v1/accounts/{ada.account_id}/entries"),
        (operator, f"/v1/admin/accounts/{ada.account_id}/entries"),
    ):
        back, large, small, first = await listed(person, path)
        assert await listed(person, path, leg="debit") == [large, small]
        assert await listed(person, path, leg="credit", max_amount=100) == [back]
        assert await listed(person, path, min_amount=100, max_amount=5_000) == [back, large, small]
        assert await listed(person, path, leg="refund") == []
        assert await listed(person, path, created_after=small["recorded_at"], leg="debit") == [large, small]
        assert await listed(person, path, created_before=small["recorded_at"]) == [first]
        period = {"created_after": small["recorded_at"], "created_before": back["recorded_at"]}
        assert await listed(person, path, **period) == [large, small]
        page = (await person.get(path, limit=1, **period)).json()
        assert await listed(person, path, limit=1, cursor=page["next_cursor"], **period) == [small]


async def test_disputes_are_filtered_by_state_and_time(ada: Person, ben: Person, operator: Person) -> None:
    for _ in range(2):
        transfer = (await ada.pay(ben, 100)).json()["id"]
        dispute = (await ada.post(f"/v1/transfers/{transfer}/disputes", {"reason": "The goods never came"})).json()
    decision = {"ruling": "reject", "reason": "No proof"}
    assert (await operator.post(f"/v1/admin/disputes/{dispute['id']}/decisions", decision)).status_code == 200
    for person, path in ((ada, "/v1/disputes"), (ben, "/v1/disputes"), (operator, "/v1/admin/disputes")):
        second, first = await listed(person, path)
        assert await listed(person, path, state="open") == [first]
        assert await listed(person, path, state="rejected", created_after=second["created_at"]) == [second]
        assert await listed(person, path, created_before=second["created_at"]) == [first]
        assert await listed(person, path, state="reversed") == []


async def test_requests_for_a_tier_are_filtered_by_state_and_time(ada: Person, operator: Person) -> None:
    own = f"/v1/accounts/{ada.account_id}/tier-requests"
    wanted = {"tier": 2, "document": {"type": "BVN", "number": REVIEW_NUMBER}}
    first = (await ada.post(own, wanted)).json()
    decision = {"ruling": "reject", "reason": "Not readable"}
    await operator.post(f"/v1/admin/tier-requests/{first['id']}/decisions", decision)
    await ada.post(own, wanted)
    for person, path in ((ada, own), (operator, "/v1/admin/tier-requests")):
        second, first = await listed(person, path)
        assert await listed(person, path, state="rejected") == [first]
        assert await listed(person, path, created_after=second["created_at"]) == [second]
        assert await listed(person, path, state="open", created_before=second["created_at"]) == []


@pytest.mark.parametrize(
    "path",
    [
        "/v1/customers/me/documents",
        "/v1/admin/documents",
        "/v1/admin/cases",
        "/v1/admin/actions",
        "/v1/admin/auth-events",
        "/v1/admin/rebuilds",
    ],
)
async def test_every_list_that_is_sorted_by_time_is_filtered_by_time(ada: Person, admin: Person, path: str) -> None:
    if path == "/v1/admin/cases":
        for _ in range(3):
            await ada.post(f"/v1/accounts/{ada.account_id}/withdrawals", {"amount": 100, "currency": "USD"})
    await admin.post("/v1/admin/rebuilds", {"account_id": ada.account_id, "reason": "ticket 4711"})
    whole = await listed(admin, path, created_before=LATER)
    assert whole
    newest = max(item[name] for item in whole for name in item if name in TIMES)
    for filters, wanted in (
        ({"created_after": newest}, whole[:1]),
        ({"created_after": LONG_AGO, "created_before": newest}, whole[1:]),
        ({"created_before": LONG_AGO}, []),
    ):
        # By their ids: what a workflow works on changes meanwhile.
        assert [item["id"] for item in await listed(admin, path, **filters)] == [item["id"] for item in wanted]


TIMES = {"created_at", "opened_at", "recorded_at", "submitted_at"}


@pytest.mark.parametrize(
    ("path", "filters"),
    [
        ("/v1/accounts/{account}/entries", {"leg": "gift"}),
        ("/v1/accounts/{account}/entries", {"min_amount": 0}),
        ("/v1/accounts/{account}/entries", {"created_after": "2026-11-01T00:00:00"}),
        ("/v1/disputes", {"state": "lost"}),
        ("/v1/disputes", {"created_before": "yesterday"}),
    ],
)
async def test_a_filter_that_is_not_valid_is_refused_by_its_name(
    ada: Person, path: str, filters: dict[str, object]
) -> None:
    answer = await ada.get(path.format(account=ada.account_id), **filters)
    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")
    assert [error["field"] for error in answer.json()["errors"]] == [f"query.{next(iter(filters))}"]


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
async def test_a_moment_outside_of_the_calendar_is_refused(admin: Person, moment: str) -> None:
    account = f"/v1/accounts/{admin.account_id}"
    for path, name in (
        ("/v1/transfers", "created_after"),
        ("/v1/disputes", "created_before"),
        (f"{account}/entries", "created_before"),
        (f"{account}/balance", "at"),
        ("/v1/admin/stats", "from"),
    ):
        answer = await admin.get(path, **{name: moment})
        assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed"), path
        assert [error["field"] for error in answer.json()["errors"]] == [f"query.{name}"], path


async def test_a_filter_takes_the_first_and_the_last_moment_of_the_calendar(ada: Person) -> None:
    for path in (f"/v1/accounts/{ada.account_id}/entries", "/v1/transfers"):
        whole = await listed(ada, path)
        assert (
            await listed(ada, path, created_after="0001-01-01T00:00:00Z", created_before="9999-12-31T23:59:59Z")
            == whole
        )
        assert await listed(ada, path, created_before="0001-01-01T00:00:00Z") == []
