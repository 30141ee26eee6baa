"""Events over HTTP: followed page by page without a gap or a repeat, by each reader in their own view."""

import json
from typing import Any

from events.event import EventType
from tests.api.people import Person, answered
from tests.connections import Connection
from tests.events.test_schemas import validate
from tests.waiting import until


async def followed(person: Person, path: str = "/v1/events", limit: int = 2, **filters: str) -> list[dict[str, Any]]:
    """All that they find, page by page."""
    found, after = [], "0"
    while True:
        answer = await person.get(path, after=after, limit=limit, **filters)
        assert answer.status_code == 200, answer.text
        found += answer.json()["items"]
        if (after := answer.json()["next_cursor"]) is None:
            return found


async def test_a_customer_follows_all_that_happens_to_them_and_nothing_else(ada: Person, ben: Person) -> None:
    transfer = (await ada.pay(ben, 700)).json()
    assert transfer["state"] == "completed"

    async def numbered() -> bool:
        return bool((await followed(ada, types="transfer.completed"))[-1]["subject"] == transfer["id"])

    await until(numbered, "its end has its position", 5)
    types = ",".join(type_ for type_ in EventType if type_ is not EventType.NOTIFICATION_ADDED)
    hers, his = await followed(ada, types=types), await followed(ben, limit=1, types=types)
    assert [event["type"] for event in hers] == [
        *("customer.created", "account.created"),
        *("transfer.initiated", "transfer.debited", "transfer.completed") * 2,
    ]
    assert [event["sequence"] for event in hers] == sorted({event["sequence"] for event in hers})
    assert [event["type"] for event in his if event["subject"] == transfer["id"]] == ["transfer.completed"]
    assert his[-1]["data"]["entry"]["amount"] == 700
    assert "accountid" in his[-1]
    assert "accountid" not in hers[-1], "the entry is the payee's"
    for event in (*hers, *his):
        validate(json.dumps(event))
    ends = await followed(ada, types="transfer.completed,transfer.failed")
    assert ends == [event for event in hers if event["type"] == "transfer.completed"]
    behind = await ada.get("/v1/events", after=hers[-2]["sequence"], types=types)
    assert behind.json() == {"items": [hers[-1]], "next_cursor": None}


async def test_an_accounts_life_is_told_in_one_order_to_its_owner(ada: Person, ben: Person, admin: Person) -> None:
    await ada.pay(ben, 700)
    for action in ("freeze", "unfreeze"):
        answer = await admin.post(f"/v1/admin/accounts/{ada.account_id}/{action}", {"reason": "Asked by the bank"})
        assert answer.status_code == 200, answer.text
    path = f"/v1/accounts/{ada.account_id}/events"

    async def told_all() -> bool:
        return [(event["type"], event["accountversion"]) for event in await followed(ada, path)] == [
            ("account.created", 0),
            ("transfer.completed", 1),
            ("transfer.debited", 2),
            ("account.frozen", 2),
            ("account.unfrozen", 2),
        ]

    await until(told_all, "all is told", 5)
    assert (await ben.get(path)).status_code == 404


async def test_staff_follow_everything_and_the_sequence_has_no_gap(admin: Person, ada: Person, ben: Person) -> None:
    transfer = (await ada.pay(ben, 700)).json()

    async def numbered() -> bool:
        return len(await followed(admin, "/v1/admin/events", limit=3, subject=transfer["id"])) == 3

    await until(numbered, "its events have their positions", 5)
    everything = await followed(admin, "/v1/admin/events", limit=7)
    assert [int(event["sequence"]) for event in everything] == list(range(1, len(everything) + 1))
    of_account = await followed(admin, "/v1/admin/events", account_id=ben.account_id, types="transfer.completed")
    assert [event["subject"] for event in of_account][-1:] == [transfer["id"]]
    ended = await followed(admin, "/v1/admin/events", types="transfer.completed,account.created")
    assert ended == [event for event in everything if event["type"] in ("transfer.completed", "account.created")]


async def test_a_cursor_that_is_none_or_too_old_is_refused(ada: Person, owner: Connection) -> None:
    async def numbered() -> bool:
        return len(await followed(ada)) > 1

    await until(numbered, "there are events", 5)
    for after in ("", "last", "-1", "²", "999999"):
        assert answered(await ada.get("/v1/events", after=after))["code"] == "cursor_invalid", after
    assert answered(await ada.get("/v1/events", types="transfer.completed,money.gone"))["code"] == "validation_failed"
    await owner.execute("UPDATE event_head SET dropped_through = 2")
    expired = answered(await ada.get("/v1/events", after=1))
    assert (expired["status"], expired["code"]) == (410, "cursor_expired")
    for after in ("0", "2"):
        assert (await ada.get("/v1/events", after=after)).status_code == 200


async def test_staff_see_no_event_about_a_hidden_reversal_of_what_they_were_paid(
    operator: Person, admin: Person, ada: Person, ben: Person, owner: Connection
) -> None:
    paid = (await ada.pay(operator, 10_000)).json()["id"]
    await operator.pay(ben, 10_000)
    reversal = (await admin.post(f"/v1/transfers/{paid}/reversals", {"reason": "Court order 7"})).json()
    assert reversal["state"] == "failed"
    await owner.execute(
        "INSERT INTO notifications (transfer_id, attempt, account_id, customer_id, occasion, body) "
        "VALUES ($1, 1, $2, $3, 'ended', 'It failed.')",
        *(reversal["id"], admin.account_id, admin.id),
    )

    async def kinds(reader: Person) -> set[str]:
        events = await followed(reader, "/v1/admin/events", limit=50)
        return {event["type"] for event in events if reversal["id"] in json.dumps(event)}

    async def numbered() -> bool:
        return {"transfer.initiated", "transfer.failed", "notification.added"} <= await kinds(admin)

    await until(numbered, "its events have their positions", 5)
    assert await kinds(operator) == set()
