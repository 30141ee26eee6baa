"""An account's balances and statistics over HTTP."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from tests.api.people import Person


async def test_an_account_shows_what_is_posted_held_and_available(ada: Person) -> None:
    account = (await ada.get(f"/v1/accounts/{ada.account_id}")).json()
    assert (account["balance"], account["held"], account["available"]) == (50_000, 0, 50_000)
    now = (await ada.get(f"/v1/accounts/{ada.account_id}/balance")).json()
    assert {name: now[name] for name in ("account_id", "currency", "balance", "held", "available", "version")} == {
        "account_id": ada.account_id,
        "currency": "USD",
        "balance": 50_000,
        "held": 0,
        "available": 50_000,
        "version": 1,
    }


async def test_the_balance_of_a_moment_stays_what_it_was(ada: Person, ben: Person) -> None:
    path = f"/v1/accounts/{ada.account_id}/balance"
    entries = (await ada.get(f"/v1/accounts/{ada.account_id}/entries")).json()["items"]
    moment = entries[0]["recorded_at"]
    await ada.pay(ben, 700)
    then = (await ada.get(path, at=moment)).json()
    assert (then["balance"], then["held"], then["available"], then["version"]) == (50_000, None, None, 1)
    assert datetime.fromisoformat(then["at"]) == datetime.fromisoformat(moment)
    before = (await ada.get(path, at="2020-01-01T00:00:00+05:30")).json()
    assert (before["balance"], before["version"]) == (0, 0)
    to_come = (await ada.get(path, at=(datetime.now(UTC) + timedelta(days=9)).isoformat())).json()
    assert (to_come["balance"], to_come["version"]) == (49_300, 2)


@pytest.mark.parametrize("at", ["yesterday", "2026-11-01T00:00:00", "2026-13-01T00:00:00Z", ""])
async def test_a_moment_without_an_offset_is_refused(ada: Person, at: str) -> None:
    answer = await ada.get(f"/v1/accounts/{ada.account_id}/balance", at=at)
    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")


async def test_statistics_add_up_to_the_balance(ada: Person, ben: Person) -> None:
    await asyncio.gather(ada.pay(ben, 700), ada.pay(ben, 300))
    await ben.pay(ada, 50)
    await ada.post(f"/v1/accounts/{ada.account_id}/withdrawals", {"amount": 1_000, "currency": "USD"})
    found = (await ada.get(f"/v1/accounts/{ada.account_id}/stats")).json()
    entries = (await ada.get(f"/v1/accounts/{ada.account_id}/entries")).json()["items"]
    assert found == {
        "account_id": ada.account_id,
        "currency": "USD",
        "total_deposited": 50_000,
        "total_withdrawn": 1_000,
        "total_transferred_in": 50,
        "total_transferred_out": 1_000,
        "deposits": 1,
        "withdrawals": 1,
        "transfers_in": 1,
        "transfers_out": 2,
        "version": 5,
        "last_activity_at": entries[0]["recorded_at"],
    }
    account = (await ada.get(f"/v1/accounts/{ada.account_id}")).json()
    assert account["balance"] == 50_000 - 1_000 + 50 - 1_000


@pytest.mark.parametrize("what", ["balance", "stats"])
async def test_another_customers_balance_and_statistics_are_not_found(ada: Person, ben: Person, what: str) -> None:
    answer = await ben.get(f"/v1/accounts/{ada.account_id}/{what}")
    assert (answer.status_code, answer.json()["code"]) == (404, "account_not_found")
