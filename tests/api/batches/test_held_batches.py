"""Who decides about a held batch, whose items are posted without a further review."""

import pytest

from settings import Settings
from tests.api.batches.test_batches import REVIEWED, counted, item, sent, settled
from tests.api.people import Person


@pytest.fixture
def settings(settings: Settings) -> Settings:
    major = REVIEWED // 100
    return settings.model_copy(update={"review_from_major": major, "four_eyes_from_major": major})


async def test_nobody_who_is_paid_by_a_held_batch_decides_about_it(ada: Person, operator: Person) -> None:
    await ada.deposit(40_000)
    path = await sent(ada, [item(ada, operator.account_id, REVIEWED)], "atomic")
    await settled(ada, path, "held")
    for ruling in ("approve", "reject"):
        decision = {"ruling": ruling, "reason": "Mine"}
        refused = await operator.post(f"{path.replace('/v1/', '/v1/admin/')}/decisions", decision)
        assert (refused.status_code, refused.json()["code"]) == (403, "conflict_of_interest")
    assert (await ada.get(path)).json()["state"] == "held"


async def test_a_held_batch_of_an_amount_that_needs_two_people_is_approved_by_two(
    ada: Person, ben: Person, operator: Person, admin: Person
) -> None:
    await ada.deposit(40_000)
    path = await sent(ada, [item(ada, ben.account_id, 100), item(ada, ben.account_id, REVIEWED)], "atomic")
    await settled(ada, path, "held")
    decisions = f"{path.replace('/v1/', '/v1/admin/')}/decisions"
    approval = {"ruling": "approve", "reason": "Known payees"}
    for _ in range(2):
        first = await operator.post(decisions, approval)
        assert (first.status_code, first.json()["state"], counted(first.json())) == (200, "held", {"pending": 2})
        assert first.json()["approved_by"] == operator.id
    (small, large) = (await admin.get(f"{path.replace('/v1/', '/v1/admin/')}/items")).json()["items"]
    assert (small["review_rules"], large["review_rules"]) == ([], ["amount_review"])
    assert (await admin.get(path.replace("/v1/", "/v1/admin/"))).json()["approved_by"] == operator.id
    assert await ben.balance() == 0
    assert (await admin.post(decisions, approval)).json()["state"] == "accepted"
    assert (await settled(ada, path))["state"] == "completed"
    assert await ben.balance() == 100 + REVIEWED
