"""Staff find, read and close cases over HTTP."""

import secrets
from typing import Any

import httpx

from api.http.problems import PROBLEMS
from database.connections import Database
from staff.permissions import Role
from tests.api.people import Person, register
from tests.orders import promoted

WHY = {"reason": "ticket 4711"}


async def withdraw(person: Person, times: int) -> list[str]:
    """The ids of so many withdrawals of 1.00."""
    path = f"/v1/accounts/{person.account_id}/withdrawals"
    return [(await person.post(path, {"amount": 100, "currency": "USD"})).json()["id"] for _ in range(times)]


async def cases_of(staff: Person, **filters: Any) -> list[dict[str, Any]]:
    answer = await staff.get("/v1/admin/cases", **filters)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


async def test_staff_see_a_flagged_account_and_why_and_close_its_case_on_the_record(
    ada: Person, operator: Person
) -> None:
    *_, third = await withdraw(ada, 3)
    (case,) = await cases_of(operator, state="open", account_id=ada.account_id)
    path = f"/v1/admin/cases/{case['id']}"
    (flag,) = (await operator.get(path)).json()["flags"]
    assert (flag["transfer_id"], flag["rule"], flag["answer"]) == (third, "withdrawals_in_a_minute", "flag")
    assert flag["facts"] == {"sent_withdrawal_within_60_seconds": {"count": 3, "sum": 300}}
    assert (await operator.get(f"/v1/admin/accounts/{ada.account_id}")).json()["open_case_id"] == case["id"]

    key = secrets.token_hex(8)
    closed, again = [await operator.post(f"{path}/close", WHY, key) for _ in range(2)]
    assert (closed.status_code, again.json()) == (200, closed.json())
    found = closed.json()
    assert (found["state"], found["closed_by"], found["closing_reason"]) == ("closed", operator.id, "ticket 4711")
    assert (await operator.get(f"/v1/admin/accounts/{ada.account_id}")).json()["open_case_id"] is None
    (action,) = (await operator.get("/v1/admin/actions", subject=case["id"])).json()["items"]
    assert (action["action"], action["reason"], action["after"]) == ("close_case", "ticket 4711", {"state": "closed"})
    late = await operator.post(f"{path}/close", WHY)
    assert (late.status_code, late.json()["code"]) == (409, "case_closed")


async def test_flags_join_the_open_case_and_open_another_one_once_it_is_closed(ada: Person, operator: Person) -> None:
    await withdraw(ada, 4)
    (first,) = await cases_of(operator)
    assert len((await operator.get(f"/v1/admin/cases/{first['id']}")).json()["flags"]) == 2
    await operator.post(f"/v1/admin/cases/{first['id']}/close", WHY)
    await withdraw(ada, 1)
    (second,) = await cases_of(operator, state="open")
    assert [each["id"] for each in await cases_of(operator)] == [second["id"], first["id"]]
    assert await cases_of(operator, state="closed") == [
        as_listed(first, (await operator.get(f"/v1/admin/cases/{first['id']}")).json())
    ]


def as_listed(listed: dict[str, Any], file: dict[str, Any]) -> dict[str, Any]:
    """The case as a list shows it now."""
    return {name: file[name] for name in listed}


async def test_nobody_sees_or_closes_a_case_about_an_account_of_their_own(
    ada: Person, operator: Person, database: Database
) -> None:
    await withdraw(ada, 3)
    (case,) = await cases_of(operator)
    await promoted(database, ada.id, Role.OPERATOR)
    assert await cases_of(ada) == []
    for answer in (
        await ada.get(f"/v1/admin/cases/{case['id']}"),
        await ada.post(f"/v1/admin/cases/{case['id']}/close", WHY),
    ):
        assert (answer.status_code, answer.json()["code"]) == (PROBLEMS["case_not_found"].status, "case_not_found")
    assert (await ada.get(f"/v1/admin/accounts/{ada.account_id}")).json()["open_case_id"] is None


async def test_cases_come_in_pages_newest_first(http: httpx.AsyncClient, operator: Person) -> None:
    flagged = []
    for _ in range(3):
        person = await register(http)
        await person.deposit(1_000_000)
        flagged.append(person.account_id)
    page = (await operator.get("/v1/admin/cases", limit=2)).json()
    rest = (await operator.get("/v1/admin/cases", limit=2, cursor=page["next_cursor"])).json()
    assert [case["account_id"] for case in page["items"] + rest["items"]] == flagged[::-1]
    assert rest["next_cursor"] is None


async def test_customers_learn_nothing_of_cases(ada: Person, operator: Person) -> None:
    await withdraw(ada, 3)
    (case,) = await cases_of(operator)
    for answer in (await ada.get("/v1/admin/cases"), await ada.get(f"/v1/admin/cases/{case['id']}")):
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    answered = [(await ada.get(path)).text for path in ("/v1/accounts", "/v1/transfers")]
    assert "flag" not in "".join(answered)
    assert "case" not in "".join(answered)
