"""What an account may send and hold, over HTTP and through real workflows."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from settings import Settings
from tests.api.people import Person, register

WHY = {"reason": "Ticket 4711"}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """A day's total that a few transfers reach, and a balance that a few deposits fill."""
    limits = {"USD": {"1": {"one_transaction": 400, "daily_total": 300, "monthly_total": 1000, "highest_balance": 500}}}
    return settings.model_copy(update={"tier_limits": json.dumps(limits)})


async def limits(person: Person) -> dict[str, object]:
    answer = await person.get(f"/v1/accounts/{person.account_id}/limits")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def tomorrow() -> str:
    return (datetime.now(UTC).date() + timedelta(days=1)).isoformat() + "T00:00:00Z"


async def test_the_limits_of_an_account_say_what_is_used_what_is_left_and_when_that_resets(
    ada: Person, ben: Person, admin: Person
) -> None:
    assert (await ada.pay(ben, 12_000)).json()["state"] == "completed"
    found = await limits(ada)
    month = datetime.now(UTC).date().replace(day=1) + timedelta(days=32)
    assert found == {
        "account_id": ada.account_id,
        "tier": 1,
        "currency": "USD",
        "one_transaction": {"limit": 40_000, "used": 0, "left": 40_000, "resets_at": None},
        "daily_total": {"limit": 30_000, "used": 12_000, "left": 18_000, "resets_at": tomorrow()},
        "monthly_total": {
            "limit": 100_000,
            "used": 12_000,
            "left": 88_000,
            "resets_at": f"{month.replace(day=1).isoformat()}T00:00:00Z",
        },
        "highest_balance": {"limit": 50_000, "used": 38_000, "left": 12_000, "resets_at": None},
    }
    staffs = await admin.get(f"/v1/admin/accounts/{ada.account_id}/limits")
    assert staffs.json() == found
    raised = await admin.post(f"/v1/admin/accounts/{ada.account_id}/tier", {"tier": 3} | WHY)
    assert raised.status_code == 200
    free = await limits(ada)
    assert free["daily_total"] == {"limit": None, "used": 12_000, "left": None, "resets_at": tomorrow()}


async def test_a_refused_transfer_says_which_limit_what_is_left_and_when_it_resets(ada: Person, ben: Person) -> None:
    await ada.pay(ben, 29_000)
    refused = (await ada.pay(ben, 1_001)).json()
    assert (refused["state"], refused["failure"]["code"]) == ("failed", "limit_exceeded")
    resets = tomorrow().replace("T00:00:00Z", " 00:00 UTC")
    assert refused["failure"]["message"] == (
        f"The source account may send $300.00 a day: $10.00 is left until {resets}."
    )


async def test_a_deposit_above_the_highest_balance_is_refused(ada: Person) -> None:
    refused = await ada.post(f"/v1/accounts/{ada.account_id}/deposits", {"amount": 1, "currency": "USD"})
    assert refused.json()["state"] == "failed"
    assert refused.json()["failure"] == {
        "code": "balance_limit_exceeded",
        "message": "The destination account may hold $500.00: $0.00 more fits.",
    }


async def test_limits_hold_exactly_under_50_parallel_transfers(
    ada: Person, ben: Person, http: httpx.AsyncClient
) -> None:
    eve = await register(http, full_name="Eve Roe")
    await eve.deposit(50_000)
    # Ada may send 300 dollars today; of what both send, ben may hold 500.
    payments = [(ada, 700)] * 25 + [(ada, 900)] * 25
    outcomes = await asyncio.gather(*(payer.paid(ben, amount) for payer, amount in payments))
    assert {(each["state"], (each["failure"] or {}).get("code")) for each in outcomes} == {
        ("completed", None),
        ("failed", "limit_exceeded"),
    }
    sent = sum(each["amount"] for each in outcomes if each["state"] == "completed")
    refused = min(each["amount"] for each in outcomes if each["state"] == "failed")
    assert 30_000 - refused < sent <= 30_000
    assert (await limits(ada))["daily_total"] == {
        "limit": 30_000,
        "used": sent,
        "left": 30_000 - sent,
        "resets_at": tomorrow(),
    }
    # Now into the payee's balance: what does not fit comes back, and costs its sender no allowance.
    await asyncio.gather(*(eve.paid(ben, 1_000) for _ in range(25)))
    fitting = (50_000 - sent) // 1_000
    assert await ben.balance() == sent + fitting * 1_000
    assert (await limits(eve))["daily_total"] == {
        "limit": 30_000,
        "used": fitting * 1_000,
        "left": 30_000 - fitting * 1_000,
        "resets_at": tomorrow(),
    }
