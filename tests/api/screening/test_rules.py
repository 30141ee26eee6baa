"""Admins change the rules: one requests, another one makes the change, and both are on record."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from database.connections import Database
from settings import Settings
from staff.permissions import Role
from tests.api.people import Person, register, running_api
from tests.orders import promoted

RULES = "/v1/admin/rules"
SMALL = [{"kind": "amount", "from_major": 1, "answer": "decline", "name": "one_dollar"}]


@pytest.fixture
async def second(http: httpx.AsyncClient, database: Database) -> Person:
    """Another admin."""
    person = await register(http, full_name="Ines Roth")
    await promoted(database, person.id, Role.ADMIN)
    return person


def wanted(rules: Any, reason: str = "ticket 4711") -> dict[str, Any]:
    return {"rules": rules, "reason": reason}


async def in_force(staff: Person) -> Any:
    return (await staff.get(RULES)).json()


async def paid(payer: Person, payee: Person) -> str:
    transfer = (await payer.pay(payee, 100)).json()
    return str(transfer["failure"]["code"] if transfer["failure"] else transfer["state"])


async def test_rules_are_in_force_once_two_admins_want_the_same(
    ada: Person, ben: Person, admin: Person, second: Person
) -> None:
    before = await in_force(admin)
    for _ in range(2):  # the same person twice is one person
        waiting = await admin.post(RULES, wanted(SMALL))
        assert (waiting.status_code, waiting.json()) == (202, before)
    assert await paid(ada, ben) == "completed"

    made = await second.post(RULES, wanted(SMALL, "as ada asked"))
    assert made.status_code == 200, made.text
    change = made.json()["change"]
    assert (change["requested_by"], change["changed_by"], change["reason"]) == (admin.id, second.id, "as ada asked")
    assert await paid(ada, ben) == "fraud_declined"
    assert await in_force(admin) == made.json() != before
    changes = (await admin.get(f"{RULES}/changes")).json()
    assert (changes["items"], changes["next_cursor"]) == ([change], None)
    actions = (await admin.get("/v1/admin/actions", subject=change["rule_set_id"])).json()["items"]
    assert [each["action"] for each in actions] == ["set_rules", "request_rules", "request_rules"]


async def test_null_brings_back_the_rules_of_the_settings(
    ada: Person, ben: Person, admin: Person, second: Person
) -> None:
    before = await in_force(admin)
    for rules in (SMALL, None):
        for person in (admin, second):
            answer = await person.post(RULES, wanted(rules))
    assert (answer.status_code, answer.json()["rule_set_id"]) == (200, before["rule_set_id"])
    assert await paid(ada, ben) == "completed"


async def test_a_request_that_is_older_than_the_rules_in_force_counts_no_more(admin: Person, second: Person) -> None:
    other = [SMALL[0] | {"from_major": 2}]
    await admin.post(RULES, wanted(other))
    await admin.post(RULES, wanted(SMALL))
    assert (await second.post(RULES, wanted(SMALL))).status_code == 200
    assert (await second.post(RULES, wanted(other))).status_code == 202


async def test_mistakes_in_rules_are_named_and_nothing_is_requested(admin: Person, operator: Person) -> None:
    answer = await admin.post(RULES, wanted([{"kind": "amount", "from_major": -1}, {"kind": "nothing"}]))
    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")
    first, *_ = answer.json()["errors"]
    assert first["message"] == "rule 1: from_major: must be a whole number from 1 on"
    assert (await operator.post(RULES, wanted(SMALL))).status_code == 403
    assert (await admin.get("/v1/admin/actions", actor=admin.id)).json()["items"] == []


@pytest.fixture
async def with_file(settings: Settings, database: Database, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    path = tmp_path / "rules.toml"
    path.write_text('[[rules]]\nkind = "amount"\nfrom_major = 1\nname = "one_dollar"\n')
    async with running_api(settings.model_copy(update={"rules_file": path}), database) as http:
        yield http


async def test_rules_of_a_file_screen_and_are_changed_only_there(
    with_file: httpx.AsyncClient, database: Database
) -> None:
    ada, ben = await register(with_file), await register(with_file)
    await ada.deposit(99)
    assert (await ada.pay(ben, 99)).json()["state"] == "completed"
    declined = await ada.post(f"/v1/accounts/{ada.account_id}/deposits", {"amount": 100, "currency": "USD"})
    assert declined.json()["failure"]["code"] == "fraud_declined"
    await promoted(database, ben.id, Role.ADMIN)
    assert [rule["name"] for rule in (await in_force(ben))["rules"]] == ["one_dollar"]
    refused = await ben.post(RULES, wanted(SMALL))
    assert (refused.status_code, refused.json()["code"]) == (409, "rules_from_file")
