"""Statements over HTTP: made, listed and read in each format by their owner, and read by staff."""

import httpx
import pytest

from statements.postgres import account_statements
from statements.renderings.formats import contents_of
from tests.api.people import Person, answered
from tests.waiting import until

ALL_TIME = {"from": "2026-01-01", "to": "2999-12-31"}


def path(person: Person, *behind: object) -> str:
    return "/".join((f"/v1/accounts/{person.account_id}/statements", *map(str, behind)))


async def test_a_statement_is_made_listed_and_read_in_each_format(ada: Person, ben: Person, admin: Person) -> None:
    await ada.paid(ben, 12_550)
    answer = await ada.post(path(ada), ALL_TIME)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert answer.headers["Location"] == path(ada, 1)
    assert {name: made[name] for name in ("number", "state", "opening", "credits", "debits", "closing", "lines")} == {
        "number": 1,
        "state": "ready",
        "opening": 0,
        "credits": 50_000,
        "debits": 12_550,
        "closing": 37_450,
        "lines": 2,
    }
    assert (await ada.get(path(ada, 1))).json() == made
    assert (await ada.get(path(ada))).json() == {"items": [made], "next_cursor": None}
    staff_path = f"/v1/admin{path(ada).removeprefix('/v1')}"
    assert (await admin.get(staff_path)).json()["items"] == [made]
    assert (await admin.get(f"{staff_path}/1")).json() == made
    for format_, type_ in (
        ("csv", "text/csv; charset=utf-8"),
        ("json", "application/json"),
        ("pdf", "application/pdf"),
        ("xml", "application/xml"),
    ):
        file = await ada.get(made["files"][format_])
        assert (file.status_code, file.headers["Content-Type"]) == (200, type_)
        assert f"-1.{format_}" in file.headers["Content-Disposition"]
        assert (await admin.get(f"{staff_path}/1.{format_}")).content == file.content
        assert (await ben.get(made["files"][format_])).json()["code"] == "account_not_found"
        if format_ != "pdf":
            assert contents_of(file.content).closing_minor == 37_450
    assert (await ada.get(path(ada, "2.pdf"))).json()["code"] == "statement_not_found"
    assert (await ada.get(path(ada, 2))).json()["code"] == "statement_not_found"
    assert (await ben.get(path(ada))).json()["code"] == "account_not_found"


async def test_the_next_statement_opens_where_this_one_closes_and_a_page_follows_another(ada: Person) -> None:
    first = (await ada.post(path(ada), ALL_TIME)).json()
    await ada.deposit(700)
    second = (await ada.post(path(ada), {"from": first["ends_at"], "to": "2999-12-31T00:00:00+01:00"})).json()
    assert (second["opening"], second["credits"], second["closing"]) == (50_000, 700, 50_700)
    page = (await ada.get(path(ada), limit=1)).json()
    assert [each["number"] for each in page["items"]] == [2]
    page = (await ada.get(path(ada), limit=1, cursor=page["next_cursor"])).json()
    assert ([each["number"] for each in page["items"]], page["next_cursor"]) == ([1], None)


async def test_a_repeat_under_a_key_makes_no_second_statement(ada: Person) -> None:
    first = await ada.post(path(ada), ALL_TIME, key="october")
    again = await ada.post(path(ada), ALL_TIME, key="october")
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len((await ada.get(path(ada))).json()["items"]) == 1


NEVER_MADE = (
    ({"from": "2026-02-01", "to": "2026-01-01"}, "validation_failed"),
    ({"from": "2999-01-01", "to": "2999-02-01"}, "statement_period_not_begun"),
    ({"from": "yesterday", "to": "2026-01-01"}, "validation_failed"),
    ({"from": "2026-01-01T00:00:00", "to": "2026-02-01"}, "validation_failed"),
    ({"from": "9999-12-31", "to": "9999-12-31"}, "validation_failed"),
    ({"from": "0001-01-01", "to": "2026-01-01"}, "validation_failed"),
    ({"from": "2026-01-01"}, "validation_failed"),
    ({"from": "2026-01-01", "to": "2026-02-01", "number": 7}, "validation_failed"),
)


async def test_a_period_that_cannot_be_is_refused_and_leaves_its_key_free(ada: Person) -> None:
    for body, code in NEVER_MADE:
        answer = await ada.post(path(ada), body, key="k")
        assert (answer.status_code, answer.json()["code"]) == (422, code), (body, answered(answer))
    assert (await ada.post(path(ada), ALL_TIME, key="k")).status_code == 201


async def test_a_long_statement_is_accepted_and_added_up_by_a_workflow(
    ada: Person, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ada.deposit(100)
    monkeypatch.setattr(account_statements, "SUMMED_AT_ONCE", 1)
    monkeypatch.setattr(account_statements, "LINES_IN_A_STEP", 1)
    answer = await ada.post(path(ada), ALL_TIME)
    assert (answer.status_code, answer.json()["state"], answer.json()["credits"]) == (202, "summing", None)

    async def is_ready() -> bool:
        found = (await ada.get(path(ada, 1))).json()
        return bool(found["state"] == "ready" and found["credits"] == 50_100)

    await until(is_ready, "the statement is ready")
    assert (await ada.get(path(ada, "1.pdf"))).status_code == 200
    listed = (await ada.get("/v1/notifications")).json()["items"]
    assert [each["type"] for each in listed if "Statement 1" in each["body"]] == ["accounts"]


async def test_a_file_of_a_statement_that_is_not_ready_is_refused(ada: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account_statements, "SUMMED_AT_ONCE", 0)
    monkeypatch.setattr("api.temporal.TemporalGateway.start_statement", _started)
    assert (await ada.post(path(ada), ALL_TIME)).status_code == 202
    answer = await ada.get(path(ada, "1.csv"))
    assert (answer.status_code, answer.json()["code"]) == (409, "statement_not_ready")


async def _started(*_: object) -> None:
    """As if Temporal were away."""


async def test_a_file_in_many_parts_is_the_one_that_is_sent_at_once(
    ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        await ada.deposit(100)
    await ada.post(path(ada), ALL_TIME)
    whole = {format_: await ada.get(path(ada, f"1.{format_}")) for format_ in ("csv", "json", "pdf", "xml")}
    monkeypatch.setattr(account_statements, "LINES_AT_ONCE", 1)
    monkeypatch.setattr("api.statements.statement_files.LINES_AT_ONCE", 1)
    for format_, file in whole.items():
        assert (await ada.get(path(ada, f"1.{format_}"))).content == file.content
        assert file.headers["ETag"]
