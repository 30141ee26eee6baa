"""Admins request rebuilds, follow them, and read what they found."""

from collections.abc import Mapping
from typing import Any

import pytest

from api.rebuilds import outcome
from api_services import compose_api
from database.connections import Database
from settings import Settings
from tests.api.people import Person, answered, client_of
from tests.connections import Connection
from tests.waiting import until

WHY = {"reason": "ticket 4711"}
FALSIFY = "UPDATE accounts SET balance_minor = balance_minor + 1 WHERE id = $1"


async def completed(person: Person, path: str) -> dict[str, Any]:
    async def is_completed() -> bool:
        return bool((await person.get(path)).json()["state"] == "completed")

    await until(is_completed, "the rebuild is completed")
    return dict((await person.get(path)).json())


@pytest.mark.breaks_the_books
async def test_a_rebuild_of_all_accounts_reports_what_it_mended_and_what_it_left(
    ada: Person, ben: Person, admin: Person, operator: Person, owner: Connection
) -> None:
    await operator.deposit(700)
    await owner.execute("SET session_replication_role = replica")
    await owner.executemany(FALSIFY, [(ada.account_id,), (ben.account_id,)])
    await owner.execute("UPDATE entries SET hash = sha256('') WHERE account_id = $1", operator.account_id)
    requested = await admin.post("/v1/admin/rebuilds", {"all": True} | WHY)
    assert (requested.status_code, requested.json()["requested_by"]) == (202, admin.id)
    path = requested.headers["Location"]
    found = await completed(operator, path)
    assert (found["accounts_done"], found["accounts_total"], found["rebuilt"], found["left_as_they_are"]) == (
        4,
        4,
        2,
        1,
    )
    differences = {each["account_id"]: each for each in found["differences"]}
    assert differences == {
        each.account_id: {"account_id": each.account_id, "column": "balance", "before": balance + 1, "after": balance}
        for each, balance in ((ada, 50_000), (ben, 0))
    }
    (left,) = found["left"]
    assert (left["account_id"], left["code"]) == (operator.account_id, "entries_broken")
    assert (await ada.balance(), await ben.balance(), await operator.balance()) == (50_000, 0, 700)

    pages: list[Mapping[str, Any]] = [(await operator.get(f"{path}/findings", limit=2)).json()]
    pages.append((await operator.get(f"{path}/findings", limit=2, cursor=pages[0]["next_cursor"])).json())
    assert [len(page["differences"]) + len(page["left"]) for page in pages] == [2, 1]
    assert pages[1]["next_cursor"] is None
    (listed,) = (await operator.get("/v1/admin/rebuilds")).json()["items"]
    assert (listed["id"], listed["reason"], listed["account_id"]) == (found["id"], "ticket 4711", None)
    records = (await admin.get("/v1/admin/actions", actor=admin.id)).json()["items"]
    assert {(each["subject"], each["outcome"]) for each in records} == {
        ("books", "taken"),
        (ada.account_id, "taken"),
        (ben.account_id, "taken"),
    }


async def test_a_rebuild_names_one_account_or_all(ada: Person, admin: Person) -> None:
    for body in ({}, {"account_id": ada.account_id, "all": True}, {"all": False}):
        assert answered(await admin.post("/v1/admin/rebuilds", body | WHY))["code"] == "validation_failed"
    nowhere = {"account_id": "acc_" + "a" * 26}
    assert answered(await admin.post("/v1/admin/rebuilds", nowhere | WHY))["code"] == "account_not_found"
    own = {"account_id": admin.account_id}
    assert answered(await admin.post("/v1/admin/rebuilds", own | WHY))["code"] == "conflict_of_interest"


async def test_a_rebuild_of_one_account_without_a_worker_is_accepted_and_goes_on(
    ada: Person, admin: Person, settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outcome, "WAIT_SECONDS", 0)
    async with client_of(settings, compose_api(settings, database, with_worker=False)) as http:
        asked = Person(http, admin.id, admin.account_id, admin.token, admin.email)
        answer = await asked.post(f"/v1/admin/accounts/{ada.account_id}/rebuild", WHY)
    assert (answer.status_code, answer.json()["state"]) == (202, "running")
    assert answer.headers["Location"] == f"/v1/admin/rebuilds/{answer.json()['id']}"
