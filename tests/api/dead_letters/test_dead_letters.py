"""Staff find dead letters over HTTP, send them again, and give them up."""

import secrets
from collections.abc import AsyncIterator
from typing import Any

import pytest

from database.connections import WORKER_ROLE, Database
from events.dead_letter import Undelivered, is_queue
from events.postgres.dead_letters import bury, send_replays
from ledger.ids import DeadLetterId
from tests.api.people import Person
from tests.databases import OwnDatabase

WHY = {"reason": "ticket 4711"}
PATH = "/v1/admin/dead-letters"

HAS_RUN = "INSERT INTO sinks (name, kind, position) VALUES ($1, 'publisher', 0) ON CONFLICT DO NOTHING"


@pytest.fixture
async def worker(own_database: OwnDatabase) -> AsyncIterator[Database]:
    """Where events die: the API itself cannot write a dead letter."""
    async with own_database.lend(WORKER_ROLE) as database:
        yield database


async def died(
    worker: Database,
    event_id: str,
    source: str = "kafka",
    target: str | None = None,
    body: dict[str, Any] | None = None,
) -> DeadLetterId:
    letter = Undelivered(
        source=source,
        target=target,
        event_id=event_id,
        type="transfer.completed",
        reason="too large",
        body=body or {"a": 1},
    )
    async with worker.transaction() as connection:
        if not is_queue(source):
            await connection.execute(HAS_RUN, source)
        found = await bury(connection, letter)
    assert found is not None
    return found


async def listed(staff: Person, **filters: Any) -> list[str]:
    answer = await staff.get(PATH, **filters)
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.json()["items"]]


async def sent_again(worker: Database, source: str) -> list[str]:
    """The letters that are to be sent again to this place, which takes them."""
    sent: list[str] = []

    async def send(letters: Any) -> list[Any]:
        sent.extend(letter.id for letter in letters)
        return []

    await send_replays(worker, source, send)
    return sent


async def test_a_letter_is_replayed_once_to_where_it_died_on_the_record(worker: Database, operator: Person) -> None:
    letter_id = await died(worker, "evt_1")
    key = secrets.token_hex(8)
    first, again = [await operator.post(f"{PATH}/{letter_id}/replay", WHY, key) for _ in range(2)]
    assert (first.status_code, again.json()) == (200, first.json())
    found = first.json()
    assert (found["state"], found["ended_by"], found["ended_reason"]) == ("replayed", operator.id, "ticket 4711")
    assert (found["event_id"], found["body"]) == ("evt_1", {"a": 1})
    late = await operator.post(f"{PATH}/{letter_id}/discard", WHY)
    assert (late.status_code, late.json()["code"]) == (409, "dead_letter_ended")
    (action,) = (await operator.get("/v1/admin/actions", subject=letter_id)).json()["items"]
    assert (action["action"], action["before"], action["after"]) == (
        "replay_dead_letters",
        {"state": "dead"},
        {"state": "replayed"},
    )
    assert await sent_again(worker, "rabbitmq") == []
    assert await sent_again(worker, "kafka") == [letter_id]
    assert await sent_again(worker, "kafka") == []


async def test_a_discarded_letter_stays_and_is_not_replayed(worker: Database, operator: Person) -> None:
    letter_id = await died(worker, "evt_1")
    discarded = await operator.post(f"{PATH}/{letter_id}/discard", WHY)
    assert (discarded.status_code, discarded.json()["state"]) == (200, "discarded")
    assert await listed(operator, state="dead") == []
    assert await listed(operator, state="discarded") == [letter_id]
    refused = await operator.post(f"{PATH}/{letter_id}/replay", WHY)
    assert refused.json()["code"] == "dead_letter_ended"
    assert await sent_again(worker, "kafka") == []


async def test_a_filter_replays_what_died_at_one_endpoint_since_a_time_and_nothing_else(
    worker: Database, operator: Person
) -> None:
    before = await died(worker, "evt_1", "queue:wallet.events.worker", "whe_1")
    since = (await operator.get(f"{PATH}/{before}")).json()["died_at"]
    wanted = [await died(worker, f"evt_{n}", "queue:wallet.events.worker", "whe_1") for n in (2, 3)]
    others = [
        await died(worker, "evt_2", "queue:wallet.events.worker", "whe_2"),
        await died(worker, "evt_2", "kafka", "whe_1"),
    ]
    await operator.post(f"{PATH}/{before}/discard", WHY)
    body = WHY | {"source": "queue:wallet.events.worker", "target": "whe_1", "since": since}
    answer = await operator.post(f"{PATH}/replay", body)
    assert answer.status_code == 200, answer.text
    assert sorted(item["id"] for item in answer.json()["items"]) == sorted(wanted)
    assert answer.json()["has_more"] is False
    assert set(await listed(operator, state="dead")) == set(others)
    assert sorted(await sent_again(worker, "queue:wallet.events.worker")) == sorted(wanted)
    nothing = await operator.post(f"{PATH}/replay", body)
    assert nothing.json() == {"items": [], "has_more": False}


async def test_letters_come_in_pages_newest_first_and_filtered(worker: Database, operator: Person) -> None:
    ids = [await died(worker, f"evt_{number}", source) for number, source in enumerate(("kafka", "rabbitmq", "kafka"))]
    page = (await operator.get(PATH, limit=2)).json()
    rest = (await operator.get(PATH, limit=2, cursor=page["next_cursor"])).json()
    assert [item["id"] for item in page["items"] + rest["items"]] == ids[::-1]
    assert await listed(operator, source="kafka") == [ids[2], ids[0]]


async def test_the_same_death_twice_is_one_letter_and_a_death_after_a_replay_another(
    worker: Database, operator: Person
) -> None:
    letter_id = await died(worker, "evt_1")
    with pytest.raises(AssertionError):
        await died(worker, "evt_1")
    await operator.post(f"{PATH}/{letter_id}/replay", WHY)

    async def refuse(letters: Any) -> list[Any]:
        return [(letter, "still too large") for letter in letters]

    await send_replays(worker, "kafka", refuse)
    (newest, oldest) = await listed(operator)
    assert oldest == letter_id
    found = (await operator.get(f"{PATH}/{newest}")).json()
    assert (found["state"], found["reason"], found["attempts"], found["event_id"]) == (
        "dead",
        "still too large",
        2,
        "evt_1",
    )


async def test_a_customer_sees_no_dead_letter(worker: Database, ada: Person) -> None:
    letter_id = await died(worker, "evt_1")
    for answer in (await ada.get(PATH), await ada.get(f"{PATH}/{letter_id}")):
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


async def test_staff_see_no_letter_about_a_hidden_reversal_of_what_they_were_paid(
    worker: Database, operator: Person, admin: Person, ada: Person, ben: Person
) -> None:
    paid = (await ada.pay(operator, 10_000)).json()["id"]
    await operator.pay(ben, 10_000)
    reversal = await admin.post(f"/v1/transfers/{paid}/reversals", {"reason": "Court order 7"})
    hidden = reversal.json()["id"]
    assert reversal.json()["state"] == "failed"
    bodies: tuple[dict[str, Any], ...] = (
        {"subject": hidden, "data": {"transfer": {"id": hidden}}},
        {"subject": "ntf_1", "data": {"notification": {"id": "ntf_1", "transfer_id": hidden}}},
    )
    ids = [await died(worker, f"evt_{number}", body=body) for number, body in enumerate(bodies)]
    other = await died(worker, "evt_7", body={"subject": paid, "data": {}})
    assert set(await listed(admin)) == {other, *ids}
    assert await listed(operator) == [other]
    for letter_id in ids:
        assert (await admin.get(f"{PATH}/{letter_id}")).status_code == 200
        for answer in (
            await operator.get(f"{PATH}/{letter_id}"),
            await operator.post(f"{PATH}/{letter_id}/replay", WHY),
            await operator.post(f"{PATH}/{letter_id}/discard", WHY),
        ):
            assert (answer.status_code, answer.json()["code"]) == (404, "dead_letter_not_found")
    replayed = await operator.post(f"{PATH}/replay", WHY)
    assert [item["id"] for item in replayed.json()["items"]] == [other]


async def test_letters_of_a_deleted_endpoint_stay_dead(worker: Database, operator: Person) -> None:
    letter_id = await died(worker, "evt_1", "webhooks", "whe_" + "a" * 26)
    refused = await operator.post(f"{PATH}/{letter_id}/replay", WHY)
    assert (refused.status_code, refused.json()["code"]) == (409, "dead_letter_unsendable")
    nothing = await operator.post(f"{PATH}/replay", WHY | {"source": "webhooks"})
    assert nothing.json()["items"] == []
    assert await listed(operator, state="dead") == [letter_id]


async def test_letters_of_a_retired_sink_stay_dead(worker: Database, admin: Person) -> None:
    letter_id = await died(worker, "evt_1", "journal")
    retired = await admin.post("/v1/admin/sinks/journal/retire", WHY)
    assert retired.status_code == 200, retired.text
    refused = await admin.post(f"{PATH}/{letter_id}/replay", WHY)
    assert (refused.status_code, refused.json()["code"]) == (409, "dead_letter_unsendable")
    assert (await admin.post(f"{PATH}/replay", WHY | {"source": "journal"})).json()["items"] == []
    assert await listed(admin, state="dead") == [letter_id]
