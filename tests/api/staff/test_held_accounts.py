"""Staff act on an account that another transaction holds: they come before the steps, and hear which one is busy."""

import asyncio
from typing import Any

import pytest

from ledger.postgres import locks
from tests.api.people import Person, reaches
from tests.connections import Connection

WHY = {"reason": "ticket 4711"}
_HOLD = "SELECT FROM accounts WHERE id = $1 FOR UPDATE"


async def freeze(staff: Person, person: Person) -> Any:
    return await staff.post(f"/v1/admin/accounts/{person.account_id}/freeze", WHY)


async def test_a_freeze_waits_for_who_holds_the_account_and_comes_before_the_steps(
    ada: Person, ben: Person, operator: Person, owner: Connection
) -> None:
    async with owner.transaction():
        await owner.execute(_HOLD, ada.account_id)
        waiting = [(await ada.pay(ben, 100, prefer="wait=0")).json()["id"] for _ in range(10)]
        freezing = asyncio.create_task(freeze(operator, ada))
        # Longer than a step waits for a row.
        await asyncio.wait({freezing}, timeout=3)
        assert not freezing.done(), freezing.result().text
    answer = await freezing
    assert (answer.status_code, answer.json()["status"]) == (200, "frozen")
    for transfer_id in waiting:
        await reaches(ada, transfer_id, "failed")
    found = [(await ada.get(f"/v1/transfers/{transfer_id}")).json() for transfer_id in waiting]
    assert {transfer["failure"]["code"] for transfer in found} == {"account_frozen"}


async def test_an_account_that_stays_held_is_named_and_is_no_silence_of_postgresql(
    ada: Person, operator: Person, owner: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "STAFF_LOCK_SECONDS", 0.3)
    async with owner.transaction():
        await owner.execute(_HOLD, ada.account_id)
        answer = await freeze(operator, ada)
        assert (answer.status_code, answer.json()["code"]) == (503, "account_busy")
        assert ada.account_id in answer.json()["detail"]
        assert int(answer.headers["Retry-After"]) > 0
    assert (await freeze(operator, ada)).status_code == 200


async def test_a_row_that_stays_held_is_no_silence_of_postgresql(
    ada: Person, ben: Person, operator: Person, owner: Connection
) -> None:
    transfer = (await ada.pay(ben, 100)).json()
    async with owner.transaction():
        await owner.execute("SELECT FROM transfers WHERE id = $1 FOR UPDATE", transfer["id"])
        answer = await operator.post(f"/v1/admin/transfers/{transfer['id']}/decisions", {"ruling": "approve", **WHY})
    assert (answer.status_code, answer.json()["code"]) == (503, "row_held")
