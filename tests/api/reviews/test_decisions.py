"""Staff decide about transfers in review over HTTP. A decision is a row, whatever runs or does not run beside it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from database.connections import Database
from devenv.servers.temporal_binary import temporal_binary
from devenv.servers.temporal_server import TemporalServer
from ledger.ids import AccountId, CustomerId
from ledger.postgres.book import Book, put_in_review
from ledger.transfers import Step
from settings import Settings
from staff.permissions import Role
from tests.api.people import Person, in_review, reaches, register, running_api
from tests.connections import Connection
from tests.orders import completed, order, promoted, reversal
from workflows.search_attributes import SEARCH_ATTRIBUTE_TYPES

WHY = {"reason": "ticket 4711"}


@pytest.fixture
def careful(settings: Settings) -> Settings:
    """Review from 100.00 on, and four eyes from 300.00 on."""
    return settings.model_copy(update={"review_from_major": 100, "four_eyes_from_major": 300})


@pytest.fixture
async def http(careful: Settings, database: Database) -> AsyncIterator[httpx.AsyncClient]:
    async with running_api(careful, database) as http:
        yield http


@pytest.fixture
async def ada(http: httpx.AsyncClient) -> Person:
    person = await register(http)
    for _ in range(10):
        await person.deposit(9_000)
    return person


def seen(total: int, **filters: object) -> dict[str, object]:
    """A list that a reviewer has read just now, and its filter."""
    return {"created_before": datetime.now(UTC).isoformat(), "total": total, **filters}


async def recorded(staff: Person, transfer_id: str) -> list[tuple[str, str, str, Any, Any]]:
    """The decisions on record, oldest first. All are taken: what is refused is not recorded."""
    items = (await staff.get("/v1/admin/actions", subject=transfer_id)).json()["items"]
    assert {(item["action"], item["outcome"]) for item in items} <= {("decide_review", "taken")}
    return [(item["channel"], item["actor_id"], item["reason"], item["before"], item["after"]) for item in items[::-1]]


async def test_a_review_that_waits_tells_its_deadline_and_who_has_approved_but_not_to_its_parties(
    ada: Person, ben: Person, operator: Person, admin: Person, database: Database
) -> None:
    transfer_id = await in_review(ada, ben, 40_000)
    await operator.post(f"/v1/admin/transfers/{transfer_id}/decisions", {"ruling": "approve", **WHY})

    async def listed(reader: Person) -> dict[str, Any]:
        found = (await reader.get("/v1/admin/reviews")).json()["items"]
        return dict(next(each for each in found if each["transfer"]["id"] == transfer_id))

    review = await listed(admin)
    began, deadline = (datetime.fromisoformat(review[name]) for name in ("began_at", "deadline"))
    assert began < datetime.now(UTC) < deadline
    assert review["approvals"] == 2
    assert [(each["decided_by"], each["ruling"], each["reason"]) for each in review["decisions"]] == [
        (operator.id, "approve", "ticket 4711")
    ]
    await promoted(database, ben.id, Role.OPERATOR)
    assert (await listed(ben))["decisions"] == []
    await reaches(ada, transfer_id, "in_review")
    await admin.post(f"/v1/admin/transfers/{transfer_id}/cancel", WHY)


async def test_a_reviewed_transfer_goes_on_and_the_decision_is_recorded(
    ada: Person, ben: Person, operator: Person, admin: Person
) -> None:
    transfer_id = await in_review(ada, ben, 20_000)
    path = f"/v1/admin/transfers/{transfer_id}/decisions"
    answer = await operator.post(path, {"ruling": "approve", **WHY})
    assert answer.status_code == 200, answer.text
    await reaches(ada, transfer_id, "completed")
    standing = {"state": "in_review", "attempt": 1}
    assert await recorded(admin, transfer_id) == [
        ("api", operator.id, "ticket 4711", standing, standing | {"ruling": "approve"})
    ]
    late = await admin.post(path, {"ruling": "reject", **WHY})
    assert (late.status_code, late.json()["code"]) == (409, "too_late")


async def test_four_eyes_are_two_people(ada: Person, ben: Person, operator: Person, admin: Person) -> None:
    transfer_id = await in_review(ada, ben, 30_000)
    path = f"/v1/admin/transfers/{transfer_id}/decisions"
    for _ in range(2):
        assert (await operator.post(path, {"ruling": "approve", **WHY})).status_code == 200
    other = await operator.post(path, {"ruling": "reject", **WHY})
    assert (other.status_code, other.json()["code"]) == (409, "decided_already")
    assert (await ada.get(f"/v1/transfers/{transfer_id}")).json()["state"] == "in_review"
    assert (await admin.post(path, {"ruling": "approve", **WHY})).status_code == 200
    await reaches(ada, transfer_id, "completed")


async def test_a_rejection_ends_a_transfer(ada: Person, ben: Person, operator: Person) -> None:
    transfer_id = await in_review(ada, ben, 30_000)
    await operator.post(f"/v1/admin/transfers/{transfer_id}/decisions", {"ruling": "reject", **WHY})
    await reaches(ada, transfer_id, "failed")
    assert (await ada.get(f"/v1/transfers/{transfer_id}")).json()["failure"]["code"] == "review_rejected"


async def test_the_same_decision_again_is_answered_as_before_and_recorded_once(
    ada: Person, ben: Person, operator: Person, admin: Person
) -> None:
    transfer_id = await in_review(ada, ben, 30_000)
    path, body = f"/v1/admin/transfers/{transfer_id}/decisions", {"ruling": "approve", **WHY}
    first, again = [await operator.post(path, body) for _ in range(2)]
    assert (again.status_code, again.json()) == (200, first.json())
    assert ("Idempotent-Replayed" in first.headers, again.headers["Idempotent-Replayed"]) == (False, "true")
    assert len(await recorded(admin, transfer_id)) == 1
    await admin.post(path, body)
    await reaches(ada, transfer_id, "completed")
    assert (await operator.post(path, body)).json() == first.json()


async def test_many_are_decided_in_one_call_that_says_of_how_many(
    ada: Person, ben: Person, operator: Person, admin: Person
) -> None:
    ids = [await in_review(ada, ben, 10_000 + n) for n in range(4)]
    search = {"ruling": "approve", **seen(3, max_amount=10_002, owner_id=ada.id), **WHY}
    answer = await operator.post("/v1/admin/reviews/decisions", search)
    assert (answer.status_code, answer.json()) == (200, {"total": 3, "taken": 3, "refused": []})
    for transfer_id in ids[:3]:
        await reaches(ada, transfer_id, "completed")
        assert [(by, why) for _, by, why, *_ in await recorded(admin, transfer_id)] == [(operator.id, "ticket 4711")]
    assert (await ada.get(f"/v1/transfers/{ids[3]}")).json()["state"] == "in_review"
    nothing = await operator.post(
        "/v1/admin/reviews/decisions", {"ruling": "approve", **seen(1, min_amount=99_999), **WHY}
    )
    assert (nothing.status_code, nothing.json()["code"]) == (409, "nothing_matches")


async def test_a_call_about_many_names_what_refused_it(
    ada: Person, ben: Person, operator: Person, owner: Connection
) -> None:
    free, busy = [await in_review(ada, ben, 30_000) for _ in range(2)]
    async with owner.transaction():
        await owner.execute("SELECT FROM transfers WHERE id = $1 FOR UPDATE", busy)
        named = {"ruling": "approve", "transfer_ids": [free, busy], **WHY}
        found = (await operator.post("/v1/admin/reviews/decisions", named)).json()
    assert (found["total"], found["taken"]) == (2, 1)
    assert [(each["transfer_id"], each["code"]) for each in found["refused"]] == [(busy, "too_busy")]
    assert (await operator.get("/v1/admin/actions", subject=free)).json()["items"]


async def test_a_call_about_many_decides_only_what_its_reviewer_saw(
    ada: Person, ben: Person, operator: Person, admin: Person
) -> None:
    path = "/v1/admin/reviews/decisions"
    first = await in_review(ada, ben, 30_000)
    list_of_one = seen(1, owner_id=ada.id)
    second = await in_review(ada, ben, 30_001)
    blind = await operator.post(path, {"ruling": "approve", **WHY})
    assert (blind.status_code, blind.json()["code"]) == (422, "validation_failed")
    more = await operator.post(path, {"ruling": "approve", **seen(1, owner_id=ada.id), **WHY})
    assert (more.status_code, more.json()["code"]) == (409, "more_than_seen")
    later = list_of_one | {"created_before": (datetime.now(UTC) + timedelta(minutes=1)).isoformat()}
    assert (await operator.post(path, {"ruling": "approve", **later, **WHY})).status_code == 422
    unknown = {"ruling": "approve", "transfer_ids": [first, "trf_" + "a" * 26], **WHY}
    assert (await operator.post(path, unknown)).json()["code"] == "transfer_not_found"
    assert [await recorded(admin, transfer_id) for transfer_id in (first, second)] == [[], []]
    answer = await operator.post(path, {"ruling": "approve", **list_of_one, **WHY})
    assert (answer.status_code, answer.json()["taken"]) == (200, 1)
    assert [len(await recorded(admin, transfer_id)) for transfer_id in (first, second)] == [1, 0]


async def test_a_transfer_that_came_into_review_after_the_list_is_left_out_of_its_batch(
    ada: Person, ben: Person, operator: Person, owner: Connection
) -> None:
    transfer_id = await in_review(ada, ben, 30_000)
    created = datetime.fromisoformat((await ada.get(f"/v1/transfers/{transfer_id}")).json()["created_at"])
    began = await owner.fetchval("SELECT updated_at FROM transfers WHERE id = $1", transfer_id)
    between = {"created_before": (created + (began - created) / 2).isoformat(), "total": 1}
    answer = await operator.post("/v1/admin/reviews/decisions", {"ruling": "approve", **between, **WHY})
    assert (answer.status_code, answer.json()["code"]) == (409, "nothing_matches")


async def test_a_batch_leaves_out_what_the_list_hides_from_its_reviewer(
    ada: Person, ben: Person, operator: Person, admin: Person, database: Database, book: Book
) -> None:
    paid = order(CustomerId(ada.id), AccountId(ada.account_id), AccountId(operator.account_id), 500)
    hidden = reversal(await completed(book, paid), CustomerId(admin.id), 500, "court order 7")
    await book.open_transfer(hidden)
    async with database.transaction() as connection:
        await put_in_review(connection, Step(hidden.transfer_id, 1))
    shown = await in_review(ada, ben, 10_000)
    listed = (await operator.get("/v1/admin/transfers", state="in_review")).json()["items"]
    assert [each["id"] for each in listed] == [shown]
    answer = await operator.post("/v1/admin/reviews/decisions", {"ruling": "reject", **seen(1), **WHY})
    assert (answer.status_code, answer.json()) == (200, {"total": 1, "taken": 1, "refused": []})


async def test_who_became_staff_a_moment_ago_is_no_second_pair_of_eyes(
    careful: Settings, database: Database, http: httpx.AsyncClient, ada: Person, ben: Person, operator: Person
) -> None:
    four, two = await in_review(ada, ben, 30_000), await in_review(ada, ben, 10_000)
    slow = careful.model_copy(update={"four_eyes_after_seconds": 3_600})
    async with running_api(slow, database, worker=False) as strict:
        young = Person(strict, operator.id, operator.account_id, operator.token, operator.email)
        refused = await young.post(f"/v1/admin/transfers/{four}/decisions", {"ruling": "approve", **WHY})
        assert (refused.status_code, refused.json()["code"]) == (403, "role_too_young")
        many = await young.post(
            "/v1/admin/reviews/decisions", {"ruling": "approve", "transfer_ids": [four, two], **WHY}
        )
        assert [each["code"] for each in many.json()["refused"]] == ["role_too_young"]
        assert (await young.post(f"/v1/admin/transfers/{four}/decisions", {"ruling": "reject", **WHY})).is_success
    await reaches(ada, two, "completed")
    await reaches(ada, four, "failed")


async def test_a_call_about_many_with_one_of_ones_own_decides_none(
    ada: Person, ben: Person, operator: Person, admin: Person
) -> None:
    mine, theirs = await in_review(ada, operator, 10_000), await in_review(ada, ben, 10_000)
    refused = await operator.post("/v1/admin/reviews/decisions", {"ruling": "approve", **seen(2), **WHY})
    assert (refused.status_code, refused.json()["code"]) == (403, "conflict_of_interest")
    assert [await recorded(admin, transfer_id) for transfer_id in (mine, theirs)] == [[], []]
    rejected = await admin.post("/v1/admin/reviews/decisions", {"ruling": "reject", **seen(2), **WHY})
    assert rejected.json()["taken"] == 2
    for transfer_id in (mine, theirs):
        await reaches(ada, transfer_id, "failed")


async def test_no_party_decides_and_nothing_is_recorded(ada: Person, operator: Person, admin: Person) -> None:
    transfer_id = await in_review(ada, operator, 10_000)
    answer = await operator.post(f"/v1/admin/transfers/{transfer_id}/decisions", {"ruling": "approve", **WHY})
    assert (answer.status_code, answer.json()["code"]) == (403, "conflict_of_interest")
    assert await recorded(admin, transfer_id) == []


async def test_a_decision_before_the_review_begins_is_kept_for_it(
    careful: Settings, database: Database, http: httpx.AsyncClient, ada: Person, ben: Person, operator: Person
) -> None:
    nowhere = careful.model_copy(update={"task_queue": f"{careful.task_queue}-late"})
    async with running_api(nowhere, database, worker=False) as idle:
        there = Person(idle, ada.id, ada.account_id, ada.token, ada.email)
        staff = Person(idle, operator.id, operator.account_id, operator.token, operator.email)
        transfer_id = str((await there.pay(ben, 10_000, prefer="wait=0")).json()["id"])
        answer = await staff.post(f"/v1/admin/transfers/{transfer_id}/decisions", {"ruling": "approve", **WHY})
        assert answer.status_code == 200, answer.text
        assert (await there.get(f"/v1/transfers/{transfer_id}")).json()["state"] == "initiated"
    async with running_api(nowhere, database):
        await reaches(ada, transfer_id, "completed")


async def test_a_decision_without_temporal_is_recorded_and_answered(
    careful: Settings, database: Database, tmp_path: Path
) -> None:
    server = TemporalServer(
        await temporal_binary(careful.cache, print, careful.temporal_cli),
        log=tmp_path / "temporal.log",
        search_attributes=SEARCH_ATTRIBUTE_TYPES,
    )
    await server.start()
    try:
        there = careful.model_copy(update={"temporal_address": server.address})
        async with running_api(there, database) as http:
            ada, ben, admin = await register(http), await register(http), await register(http)
            for _ in range(2):
                await ada.deposit(9_000)
            await promoted(database, admin.id, Role.ADMIN)
            one, other = [await in_review(ada, ben, amount) for amount in (10_000, 10_001)]
            server.kill()
            answer = await admin.post(f"/v1/admin/transfers/{one}/decisions", {"ruling": "reject", **WHY})
            assert answer.status_code == 200, answer.text
            named = {"ruling": "reject", "transfer_ids": [other], **WHY}
            many = await admin.post("/v1/admin/reviews/decisions", named)
            assert (many.status_code, many.json()["taken"]) == (200, 1)
            for transfer_id in (one, other):
                assert len(await recorded(admin, transfer_id)) == 1
    finally:
        await server.stop()
