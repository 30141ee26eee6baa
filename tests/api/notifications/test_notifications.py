"""A customer's list of notifications: who gets which, how they are read, and what they may choose."""

from typing import Any

import asyncpg
import pytest

from tests.api.people import Person
from tests.connections import Connection
from tests.waiting import until

WHY = {"reason": "The holder called, ticket 4711"}


async def listed(person: Person, **query: object) -> list[dict[str, Any]]:
    answer = await person.get("/v1/notifications", **query)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


async def notified(person: Person, transfer_id: str) -> dict[str, Any]:
    """What the person is told of this transfer: the step that tells it comes after the answer."""
    found: list[dict[str, Any]] = []

    async def is_notified() -> bool:
        found[:] = [one for one in await listed(person) if one["transfer_id"] == transfer_id]
        return bool(found)

    await until(is_notified, "the notification is written")
    (one,) = found
    return one


async def test_sender_and_receiver_are_each_told_of_a_completed_transfer(ada: Person, ben: Person) -> None:
    transfer = (await ada.pay(ben, 2_500)).json()["id"]
    sent, received = await notified(ada, transfer), await notified(ben, transfer)
    assert sent["body"] == f"Your transfer {transfer} of $25.00 is completed."
    assert received["body"] == f"You received $25.00 by transfer {transfer}."
    assert (received["type"], received["occasion"], received["read_at"]) == ("transfers", "ended", None)
    assert received["account_id"] == ben.account_id


async def test_pages_of_notifications_hold_each_once_and_newest_first(ada: Person, ben: Person) -> None:
    for amount in (100, 200, 300):
        await notified(ben, (await ada.pay(ben, amount)).json()["id"])
    every = await listed(ben)
    assert [one["occasion"] for one in every] == ["ended", "ended", "ended", "welcomed"]
    first = (await ben.get("/v1/notifications", limit=3)).json()
    rest = (await ben.get("/v1/notifications", limit=3, cursor=first["next_cursor"])).json()
    assert [*first["items"], *rest["items"]] == every
    assert (rest["next_cursor"], first["unread"]) == (None, 4)


async def test_a_notification_is_read_once_by_its_id_or_through_a_later_one(ada: Person, ben: Person) -> None:
    for amount in (100, 200):
        await notified(ben, (await ada.pay(ben, amount)).json()["id"])
    newest, older, oldest = (one["id"] for one in await listed(ben))
    marked = await ben.post("/v1/notifications/read", {"ids": [older, older]}, "k")
    assert marked.json() == {"marked": 1, "unread": 2}
    again = await ben.post("/v1/notifications/read", {"ids": [older, older]}, "k")
    assert (again.json(), again.headers["Idempotent-Replayed"]) == ({"marked": 1, "unread": 2}, "true")
    assert (await ben.post("/v1/notifications/read", {"through": older})).json() == {"marked": 1, "unread": 1}
    assert [one["id"] for one in await listed(ben, unread_only="true")] == [newest]
    read_at = (await ben.get(f"/v1/notifications/{oldest}")).json()["read_at"]
    assert (await ben.post("/v1/notifications/read", {"through": newest})).json() == {"marked": 1, "unread": 0}
    assert (await ben.get(f"/v1/notifications/{oldest}")).json()["read_at"] == read_at


async def test_nobody_reads_or_marks_a_notification_of_somebody_else(ada: Person, ben: Person) -> None:
    (welcome,) = (one for one in await listed(ada) if one["occasion"] == "welcomed")
    assert (await ben.get(f"/v1/notifications/{welcome['id']}")).json()["code"] == "notification_not_found"
    through = await ben.post("/v1/notifications/read", {"through": welcome["id"]})
    assert through.json()["code"] == "notification_not_found"
    assert (await ben.post("/v1/notifications/read", {"ids": [welcome["id"]]})).json()["marked"] == 0
    assert (await ada.get(f"/v1/notifications/{welcome['id']}")).json()["read_at"] is None


@pytest.mark.parametrize("body", [{}, {"ids": []}, {"ids": ["ntf_1"]}, {"ids": None, "through": None}])
async def test_a_request_to_mark_names_what_it_marks(ada: Person, body: dict[str, Any]) -> None:
    assert (await ada.post("/v1/notifications/read", body)).status_code == 422


async def test_the_owner_of_an_account_is_told_what_staff_do_to_it(ada: Person, ben: Person, admin: Person) -> None:
    account = f"/v1/admin/accounts/{ben.account_id}"
    for act in ("freeze", "unfreeze"):
        assert (await admin.post(f"{account}/{act}", WHY)).status_code == 200
    assert (await admin.post(f"{account}/tier", {"tier": 3} | WHY)).status_code == 200
    assert (await admin.post(f"{account}/tier", {"tier": 2} | WHY)).status_code == 200  # lower: nothing to tell
    assert (await admin.post(f"{account}/close", WHY)).status_code == 200
    said = [one for one in reversed(await listed(ben)) if one["type"] == "accounts"]
    assert [one["occasion"].split("/")[1] for one in said] == ["frozen", "unfrozen", "tier_raised", "closed"]
    assert "No money leaves or reaches it" in said[0]["body"]
    assert {one["account_id"] for one in said} == {ben.account_id}
    assert not any(WHY["reason"] in one["body"] for one in said)
    assert [one["type"] for one in await listed(ada) if one["type"] == "accounts"] == []


async def test_nobody_is_told_that_screening_flagged_their_account(ada: Person, admin: Person) -> None:
    """Whoever is suspected must not learn it. Staff see the case."""
    await ada.deposit(2_000_000)
    cases = (await admin.get("/v1/admin/cases", account_id=ada.account_id)).json()["items"]
    assert len(cases) == 1
    assert {one["type"] for one in await listed(ada)} <= {"identity", "transfers"}


async def test_a_customer_chooses_what_comes_by_mail(ada: Person, ben: Person) -> None:
    settings = "/v1/notification-settings"
    chosen = {"transfers": False, "disputes": True, "accounts": True, "identity": True}
    assert (await ada.get(settings)).json() == {"email": chosen}
    other = {"transfers": True, "disputes": False, "accounts": False, "identity": False}
    for _ in range(2):
        assert (await ada.put(settings, {"email": other})).json() == {"email": other}
    assert (await ada.get(settings)).json() == {"email": other}
    assert (await ben.get(settings)).json() == {"email": chosen}
    assert (await ada.put(settings, {"email": {"transfers": True}})).status_code == 422
    assert (await ada.put(settings, {"email": other | {"weather": True}})).status_code == 422


async def test_a_notification_never_changes_what_it_says(ada: Person, owner: Connection) -> None:
    (welcome,) = (one for one in await listed(ada) if one["occasion"] == "welcomed")
    await ada.post("/v1/notifications/read", {"ids": [welcome["id"]]})
    for change in ("body = 'Send money to …'", "read_at = NULL", "read_at = clock_timestamp()"):
        with pytest.raises(asyncpg.CheckViolationError, match="keeps what it says"):
            await owner.execute(f"UPDATE notifications SET {change} WHERE id = $1", welcome["id"])
