"""A batch whose processes are killed ends as if nothing had happened."""

from typing import Any

import httpx
import pytest

from batches.batch import CHUNK
from devenv.stack import Running
from tests.api.people import Person, register
from tests.end_to_end.test_crash import kill, verify
from tests.waiting import until

ITEMS = 8 * CHUNK


@pytest.mark.long  # the step that died with its worker is given up after seconds
async def test_a_batch_whose_worker_is_killed_in_the_middle_pays_each_item_once(
    stack: Running, http: httpx.AsyncClient, environment: dict[str, str]
) -> None:
    ada, ben = await register(http), await register(http)
    await ada.deposit(100 * ITEMS)
    items = [
        {
            "reference": f"salary-{number}",
            "source_account_id": ada.account_id,
            "destination_account_id": ben.account_id,
            # The last ones find nothing left.
            "amount": 101,
            "currency": "USD",
        }
        for number in range(ITEMS)
    ]
    answer = await ada.post("/v1/batches", {"items": items})
    path = answer.headers["Location"]

    async def batch() -> dict[str, Any]:
        try:
            return dict((await ada.get(path)).json())
        except httpx.HTTPError:
            return {}

    async def is_begun() -> bool:
        return bool((await batch()).get("posted", 0) >= CHUNK)

    await until(is_begun, "the first chunk is posted")
    assert (await batch())["posted"] < ITEMS, "it is killed in the middle"
    kill(stack, "api")

    async def is_completed() -> bool:
        return (await batch()).get("state") == "completed"

    await until(is_completed, "the batch is completed", 90)
    paid = 100 * ITEMS // 101
    counts = (await batch())["counts"]
    assert (counts["completed"], counts["failed"]) == (paid, ITEMS - paid)
    assert await _balances(ada, ben) == [100 * ITEMS - 101 * paid, 101 * paid]
    assert verify(environment).returncode == 0


async def _balances(*people: Person) -> list[int]:
    return [await each.balance() for each in people]
