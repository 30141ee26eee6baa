"""Pages of every list: their cursors, and no parameter that nobody reads."""

import base64
from typing import Any

import pytest

from api.http.paging import Cursors
from api.http.problems import Problem
from tests.api.people import Person

LISTS = (
    "/v1/transfers",
    "/v1/transfers/{transfer}/reversals",
    "/v1/accounts/{account}/entries",
    "/v1/disputes",
    "/v1/admin/transfers",
    "/v1/admin/accounts/{account}/entries",
    "/v1/admin/customers",
    "/v1/admin/disputes",
    "/v1/admin/actions",
)


@pytest.fixture
async def paths(admin: Person, ben: Person) -> list[str]:
    """The lists, of an admin with two entries."""
    await admin.deposit(500)
    transfer = (await admin.pay(ben, 100)).json()["id"]
    return [path.format(account=admin.account_id, transfer=transfer) for path in LISTS]


def text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


async def test_a_cursor_that_this_list_did_not_give_is_refused_everywhere_an_empty_one_too(
    admin: Person, paths: list[str]
) -> None:
    page = (await admin.get(f"/v1/accounts/{admin.account_id}/entries", limit=1)).json()
    of_another_list: str = (await admin.get("/v1/admin/customers", limit=1)).json()["next_cursor"]
    unsigned = text(f"2026-11-01T00:00:00+00:00|trf_{'a' * 26}".encode())
    changed = ("A" if page["next_cursor"][0] != "A" else "B") + page["next_cursor"][1:]
    for path in paths:
        for cursor in ("", "x", "!!!", "MTIzNA==", "\u00e9", unsigned, changed, text(b"1")):
            answer = await admin.get(path, cursor=cursor)
            assert (answer.status_code, answer.json()["code"]) == (400, "cursor_invalid"), (path, cursor)
        if not path.endswith("customers"):
            answer = await admin.get(path, cursor=of_another_list)
            assert (answer.status_code, answer.json()["code"]) == (400, "cursor_invalid"), path


async def test_pages_follow_each_other_by_their_cursors(admin: Person, paths: list[str]) -> None:
    whole = (await admin.get("/v1/transfers")).json()["items"]
    first = (await admin.get("/v1/transfers", limit=1)).json()
    second = (await admin.get("/v1/transfers", limit=1, cursor=first["next_cursor"])).json()
    assert [*first["items"], *second["items"]] == whole
    assert second["next_cursor"] is None


def test_a_cursor_of_another_installation_or_list_is_refused() -> None:
    mine, theirs = Cursors.from_secrets("a" * 32), Cursors.from_secrets("b" * 32)
    cursor = mine.sign("transfers", 7)
    assert mine.read("transfers", cursor) == ["7"]
    for cursors, of_list in ((theirs, "transfers"), (mine, "disputes")):
        with pytest.raises(Problem) as refused:
            cursors.read(of_list, cursor)
        assert refused.value.code == "cursor_invalid"


@pytest.mark.parametrize("query", [{"limits": 5}, {"limit": [5, 6]}, {"Limit": 5}, {"page": ""}])
async def test_a_query_parameter_that_is_unknown_or_sent_twice_is_refused_everywhere(
    admin: Person, paths: list[str], query: dict[str, Any]
) -> None:
    (name,) = query
    others = [f"/v1/accounts/{admin.account_id}", "/v1/auth/me", "/health", "/v1/admin/books", "/problems/not_found"]
    for path in (*paths, *(others if name != "limit" else ())):
        answer = await admin.get(path, **query)
        assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed"), path
        assert [error["field"] for error in answer.json()["errors"]] == [f"query.{name}"], path


async def test_an_unknown_parameter_of_a_payment_is_refused_and_moves_nothing(ada: Person, ben: Person) -> None:
    answer = await ada.post(f"/v1/accounts/{ada.account_id}/deposits?dry_run=true", {"amount": 1, "currency": "USD"})
    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")
    assert await ada.balance() == 50_000


async def test_of_a_thousand_unknown_parameters_twenty_are_named(ada: Person) -> None:
    answer = await ada.get("/v1/transfers", **{f"p{number}": 1 for number in range(1_000)})
    assert (answer.status_code, len(answer.json()["errors"])) == (422, 20)
