"""Standing orders over HTTP: made, changed, paused, skipped and cancelled by their owners, and steered by staff."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pytest
from temporalio.client import Client

from database.connections import Database
from devenv.servers.temporal_server import TemporalServer
from settings import Settings
from staff.postgres.actions import ActionSearch, StaffActions
from tests.api.people import Person
from tests.waiting import until
from workflows.sweeps.standing_orders import StandingOrderSweepWorkflow

PATH = "/v1/standing-orders"
MONTHLY = {"frequency": "monthly", "first_date": "2099-01-31"}


def body(payer: Person, payee: Person, **changes: Any) -> dict[str, Any]:
    return {
        "source_account_id": payer.account_id,
        "destination_account_id": payee.account_id,
        "currency": "USD",
        "amount": 1_000,
        "recurrence": MONTHLY,
    } | changes


async def made(payer: Person, payee: Person, **changes: Any) -> dict[str, Any]:
    answer = await payer.post(PATH, body(payer, payee, **changes))
    assert answer.status_code == 201, answer.text
    assert answer.headers["Location"] == f"{PATH}/{answer.json()['id']}"
    return dict(answer.json())


async def patched(person: Person, order_id: str, changes: dict[str, Any]) -> httpx.Response:
    headers = {"Authorization": f"Bearer {person.token}"}
    return await person.http.patch(f"{PATH}/{order_id}", json=changes, headers=headers)


async def dates(person: Person, order_id: str, **query: Any) -> list[tuple[str, str]]:
    answer = await person.get(f"{PATH}/{order_id}/occurrences", **query)
    assert answer.status_code == 200, answer.text
    return [(each["date"], each["state"]) for each in answer.json()["items"]]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"standing_order_hours": "0"})


def today() -> date:
    return datetime.now(UTC).date()


async def sweep(temporal: TemporalServer, settings: Settings) -> None:
    client = await Client.connect(temporal.address)
    await client.execute_workflow(
        StandingOrderSweepWorkflow.run, id=f"sweep-{settings.task_queue}", task_queue=settings.task_queue
    )


async def test_an_order_is_made_once_under_its_key_and_paid_on_its_dates(
    ada: Person, ben: Person, temporal: TemporalServer, settings: Settings
) -> None:
    wanted = body(ada, ben, recurrence={"frequency": "daily", "first_date": today().isoformat(), "count": 3})
    first, again = [await ada.post(PATH, wanted, key="rent") for _ in range(2)]
    assert (first.status_code, again.json(), again.headers["Idempotent-Replayed"]) == (201, first.json(), "true")
    order_id = first.json()["id"]
    await sweep(temporal, settings)
    assert await ben.balance() == 1_000
    past = (await ada.get(f"{PATH}/{order_id}/occurrences")).json()["items"]
    assert [(each["date"], each["state"], each["amount"]) for each in past] == [(today().isoformat(), "paid", 1_000)]
    assert (await ada.get(f"/v1/transfers/{past[0]['transfer_id']}")).json()["state"] == "completed"
    assert await dates(ada, order_id, when="coming") == [
        ((today() + timedelta(days=later)).isoformat(), "coming") for later in (1, 2)
    ]


async def test_coming_dates_are_paged_in_their_order(ada: Person, ben: Person) -> None:
    order_id = (await made(ada, ben))["id"]
    first = (await ada.get(f"{PATH}/{order_id}/occurrences", when="coming", limit=2)).json()
    assert [each["date"] for each in first["items"]] == ["2099-01-31", "2099-02-28"]
    second = await ada.get(f"{PATH}/{order_id}/occurrences", when="coming", limit=2, cursor=first["next_cursor"])
    assert [each["date"] for each in second.json()["items"]] == ["2099-03-31", "2099-04-30"]
    foreign = await ada.get(f"{PATH}/{order_id}/occurrences", when="past", cursor=first["next_cursor"])
    assert foreign.json()["code"] == "cursor_invalid"


async def test_a_change_counts_from_the_next_date_on(ada: Person, ben: Person) -> None:
    made_ = await made(ada, ben, note="Rent")
    changed = await patched(ada, made_["id"], {"above": 500, "note": None, "time_zone": "Asia/Tokyo"})
    assert changed.status_code == 200, changed.text
    answered = changed.json()
    shown = (answered["amount"], answered["above"], answered["note"], answered["time_zone"])
    assert shown == (None, 500, None, "Asia/Tokyo")
    assert answered["next_at"] == "2099-01-30T15:00:00Z"
    weekly = {"frequency": "weekly", "first_date": "2099-06-01", "every": 2}
    answered = (await patched(ada, made_["id"], {"recurrence": weekly})).json()
    assert (answered["next_date"], answered["recurrence"]["every"]) == ("2099-06-01", 2)


async def test_a_paused_order_skips_what_comes_meanwhile(
    ada: Person, ben: Person, temporal: TemporalServer, settings: Settings
) -> None:
    order_id = (await made(ada, ben, recurrence={"frequency": "daily", "first_date": today().isoformat()}))["id"]
    paused = await ada.post(f"{PATH}/{order_id}/pause", None)
    assert (paused.json()["state"], paused.json()["paused_by"]) == ("paused", "owner")
    await sweep(temporal, settings)
    assert await dates(ada, order_id) == []
    resumed = (await ada.post(f"{PATH}/{order_id}/resume", None)).json()
    assert (resumed["state"], resumed["next_date"]) == ("active", (today() + timedelta(days=1)).isoformat())
    assert await dates(ada, order_id) == [(today().isoformat(), "skipped")]
    assert await ben.balance() == 0


async def test_a_skipped_date_stays_skipped(ada: Person, ben: Person) -> None:
    order_id = (await made(ada, ben))["id"]
    for wanted, next_date in (({}, "2099-02-28"), (None, "2099-03-31"), ({"date": "2099-05-31"}, "2099-03-31")):
        answer = await ada.post(f"{PATH}/{order_id}/skip", wanted)
        assert answer.status_code == 200, answer.text
        (listed,) = (await ada.get(PATH)).json()["items"]
        assert answer.json()["next_date"] == listed["next_date"] == next_date
        assert listed["next_at"].startswith(next_date)
    never = await ada.post(f"{PATH}/{order_id}/skip", {"date": "2099-06-15"})
    assert (never.status_code, never.json()["code"]) == (409, "nothing_to_skip")
    assert [state for _, state in await dates(ada, order_id, when="coming", limit=5)] == [
        "skipped",
        "skipped",
        "coming",
        "coming",
        "skipped",
    ]


async def test_a_cancelled_order_is_over(ada: Person, ben: Person) -> None:
    order_id = (await made(ada, ben))["id"]
    for _ in range(2):
        cancelled = await ada.post(f"{PATH}/{order_id}/cancel", None)
        assert (cancelled.json()["state"], cancelled.json()["next_date"]) == ("cancelled", None)
    assert (await patched(ada, order_id, {"amount": 5})).json()["code"] == "standing_order_ended"
    for act in ("pause", "resume", "skip"):
        refused = await ada.post(f"{PATH}/{order_id}/{act}", {} if act == "skip" else None)
        assert (refused.status_code, refused.json()["code"]) == (409, "standing_order_ended")
    assert await dates(ada, order_id, when="coming") == []
    assert [each["id"] for each in (await ada.get(PATH, state="cancelled")).json()["items"]] == [order_id]
    assert (await ada.get(PATH, state="active")).json()["items"] == []


REFUSED: list[tuple[dict[str, Any], int, str]] = [
    ({"recurrence": {"frequency": "once", "first_date": "2020-01-31"}}, 422, "first_date_passed"),
    ({"recurrence": MONTHLY | {"end_date": "2099-01-01"}}, 422, "standing_order_without_dates"),
    ({"recurrence": {"frequency": "daily", "first_date": "2099-01-31", "last_day": True}}, 422, "validation_failed"),
    ({"recurrence": {"frequency": "once", "first_date": 4_070_908_800}}, 422, "validation_failed"),
    ({"recurrence": {"frequency": "once", "first_date": "2099-01-31T00:00:00"}}, 422, "validation_failed"),
    ({"above": 5}, 422, "validation_failed"),
    ({"amount": None}, 422, "validation_failed"),
    ({"time_zone": "Berlin"}, 422, "validation_failed"),
    ({"retry_days": 15}, 422, "validation_failed"),
    ({"currency": "EUR"}, 422, "currency_mismatch"),
    ({"destination_account_id": "acc_aaaaaaaaaaaaaaaaaaaaaaaaaa"}, 404, "account_not_found"),
]


async def test_an_order_that_could_never_pay_is_refused(ada: Person, ben: Person) -> None:
    for changes, status, code in REFUSED:
        answer = await ada.post(PATH, body(ada, ben) | changes)
        assert (answer.status_code, answer.json()["code"]) == (status, code), changes
    own = await ada.post(PATH, body(ada, ada))
    foreign = await ben.post(PATH, body(ada, ben))
    assert (own.json()["code"], foreign.json()["code"]) == ("same_account", "account_not_found")
    assert (await ada.get(PATH)).json()["items"] == []


async def test_staff_pause_an_order_with_a_reason_and_its_owner_cannot_resume_it(
    ada: Person, ben: Person, operator: Person, database: Database
) -> None:
    order_id = (await made(ada, ben))["id"]
    reason = {"reason": "Reported as a mistake, ticket 4711"}
    paused = await operator.post(f"/v1/admin/standing-orders/{order_id}/pause", reason)
    assert (paused.status_code, paused.json()["paused_by"]) == (200, "staff")
    await ada.post(f"{PATH}/{order_id}/pause", None)
    refused = await ada.post(f"{PATH}/{order_id}/resume", None)
    assert (refused.status_code, refused.json()["code"]) == (409, "standing_order_paused_by_staff")
    listed = await operator.get("/v1/admin/standing-orders", owner_id=ada.id, state="paused")
    assert [each["id"] for each in listed.json()["items"]] == [order_id]
    for act, state in (("resume", "active"), ("cancel", "cancelled")):
        answer = await operator.post(f"/v1/admin/standing-orders/{order_id}/{act}", reason)
        assert answer.json()["state"] == state
    recorded = await StaffActions(database).find(ActionSearch(subject=order_id), 10)
    assert [each.action for each in recorded.items] == [
        "cancel_standing_order",
        "resume_standing_order",
        "pause_standing_order",
    ]
    assert {each.reason for each in recorded.items} == {reason["reason"]}


async def test_staff_do_not_steer_an_order_of_their_own(ada: Person, ben: Person, operator: Person) -> None:
    await ada.pay(operator, 100)
    order_id = (await made(operator, ben))["id"]
    refused = await operator.post(f"/v1/admin/standing-orders/{order_id}/pause", {"reason": "mine"})
    assert (refused.status_code, refused.json()["code"]) == (403, "conflict_of_interest")


async def test_a_missed_date_is_told_by_a_notification_and_an_event(
    ben: Person, ada: Person, temporal: TemporalServer, settings: Settings
) -> None:
    once = {"frequency": "once", "first_date": today().isoformat()}
    await made(ben, ada, recurrence=once, retry_days=0)
    await sweep(temporal, settings)
    answered = (await ben.get("/v1/notifications")).json()["items"][0]
    assert "was missed. The source account is short by $10.00." in answered["body"]

    async def is_notified() -> bool:
        events = (await ben.get("/v1/events", types="standing_order.missed")).json()["items"]
        return [each["data"]["occurrence"]["code"] for each in events] == ["insufficient_funds"]

    await until(is_notified, "the event is numbered")
