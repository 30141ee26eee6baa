"""A decision and cancellations of the same transfer at the same moment: each is taken, or hears that it is too late."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from database.connections import Database
from settings import Settings
from tests.api.people import Person, in_review, register, running_api

WHY = {"reason": "ticket 4711"}
TRANSFERS = 8


@pytest.fixture
async def http(settings: Settings, database: Database) -> AsyncIterator[httpx.AsyncClient]:
    careful = settings.model_copy(update={"review_from_major": 100})
    async with running_api(careful, database) as http:
        yield http


@pytest.fixture
async def ada(http: httpx.AsyncClient) -> Person:
    person = await register(http)
    for _ in range(10):
        await person.deposit(9_000)
    return person


async def test_a_decision_that_meets_a_cancellation_is_taken_or_too_late(
    ada: Person, ben: Person, operator: Person, admin: Person
) -> None:
    waiting = await asyncio.gather(*(in_review(ada, ben, 10_000 + number) for number in range(TRANSFERS)))
    answers = await asyncio.gather(
        *(
            staff.post(f"/v1/admin/transfers/{each}/{action}", WHY | asked)
            for each in waiting
            for staff, action, asked in (
                (operator, "decisions", {"ruling": "approve"}),
                (admin, "decisions", {"ruling": "reject"}),
                (admin, "cancel", {}),
                (operator, "give-back", {}),
            )
        ),
        *(ada.post(f"/v1/transfers/{each}/cancel", None) for each in waiting),
    )
    answered = [(answer.status_code, answer.json().get("code")) for answer in answers]
    assert {status for status, _ in answered} <= {200, 409}, answered
    for each in waiting:
        transfer = (await ada.get(f"/v1/transfers/{each}")).json()
        assert transfer["state"] in {"cancelled", "failed", "completed", "compensated", "debited", "in_review"}
