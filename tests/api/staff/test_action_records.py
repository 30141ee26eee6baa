"""Nothing that staff do is without record, whatever crashes; a repeat is one action; and one list tells it all."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from temporalio.client import Client

from database.connections import Database, Unavailable
from devenv.demo.postgres import holding
from devenv.servers.temporal_binary import temporal_binary
from devenv.servers.temporal_server import TemporalServer
from ledger.ids import AccountId, ActionId, CustomerId, TransferId
from ledger.postgres.book import Book
from ledger.transfers import Step
from reviews.postgres import Reviews
from reviews.review import Decision, Ruling
from settings import Settings
from staff.actions import Conclusion, Intention
from staff.instructions import Instruction
from staff.permissions import Action, Actor, Role
from staff.postgres.operators import Operators
from tests.api.people import Person, in_review, reaches, register, running_api
from workflows.search_attributes import SEARCH_ATTRIBUTE_TYPES

WHY = {"reason": "ticket 4711"}


class Forgetful(Operators):
    """Dies after something was sent, and before what came of it is recorded."""

    async def conclude(self, action_id: ActionId, conclusion: Conclusion) -> None:
        raise Unavailable("killed")


@pytest.fixture
async def http(settings: Settings, database: Database) -> AsyncIterator[httpx.AsyncClient]:
    """Review from 100.00 on, and four eyes from 300.00 on."""
    careful = settings.model_copy(update={"review_from_major": 100, "four_eyes_from_major": 300})
    async with running_api(careful, database) as http:
        yield http


@pytest.fixture
async def ada(http: httpx.AsyncClient) -> Person:
    person = await register(http)
    for _ in range(4):
        await person.deposit(9_000)
    return person


def dies_before_concluding(http: httpx.AsyncClient, database: Database) -> Any:
    """The API's state as it was, to put back."""
    app: Any = http._transport.app  # type: ignore[attr-defined]  # noqa: SLF001 - the one way to its state
    whole = app.state.remit
    app.state.remit = replace(whole, steering=replace(whole.steering, operators=Forgetful(database)))
    return lambda: setattr(app.state, "remit", whole)


async def actions(staff: Person, subject: str) -> list[dict[str, Any]]:
    return list(reversed((await staff.get("/v1/admin/actions", subject=subject)).json()["items"]))


async def test_a_decision_whose_answer_is_lost_is_on_record_and_its_repeat_is_a_replay(
    ada: Person, ben: Person, operator: Person, admin: Person, database: Database
) -> None:
    transfer_id = await in_review(ada, ben, 30_000)
    path, body = f"/v1/admin/transfers/{transfer_id}/decisions", {"ruling": "approve", **WHY}
    mend = dies_before_concluding(ada.http, database)
    assert (await operator.post(path, body)).status_code == 503
    (recorded,) = await actions(admin, transfer_id)
    assert (recorded["asked"], recorded["outcome"], recorded["concluded_at"]) == ({"ruling": "approve"}, "taken", None)
    mend()
    for _ in range(2):
        again = await operator.post(path, body)
        assert (again.status_code, again.headers.get("Idempotent-Replayed")) == (200, "true")
    (recorded,) = await actions(admin, transfer_id)
    assert (recorded["outcome"], recorded["answer"]) == ("taken", "It was taken.")
    await admin.post(path, body)
    await reaches(ada, transfer_id, "completed")


async def test_a_retry_whose_answer_is_lost_begins_one_attempt(
    ada: Person, ben: Person, operator: Person, admin: Person, database: Database
) -> None:
    failed = str((await ben.pay(ada, 100)).json()["id"])
    path = f"/v1/admin/transfers/{failed}/retry"
    mend = dies_before_concluding(ada.http, database)
    assert (await operator.post(path, WHY, "retry-1")).status_code == 503
    assert [action["outcome"] for action in await actions(admin, failed)] == ["unknown"]
    mend()
    again = await operator.post(path, WHY, "retry-1")
    assert (again.status_code, again.json()["attempt"]) == (201, 2)
    replayed = await operator.post(path, WHY, "retry-1")
    assert (replayed.json()["attempt"], replayed.headers["Idempotent-Replayed"]) == (2, "true")
    assert [action["outcome"] for action in await actions(admin, failed)] == ["taken"]


async def test_an_action_is_recorded_while_temporal_is_away(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    server = TemporalServer(
        await temporal_binary(settings.cache, print, settings.temporal_cli),
        log=tmp_path / "temporal.log",
        search_attributes=SEARCH_ATTRIBUTE_TYPES,
    )
    await server.start()
    try:
        there = settings.model_copy(update={"temporal_address": server.address})
        async with running_api(there, database) as http:
            ada, ben, admin = await register(http), await register(http), await register(http)
            await Operators(database).make_admin(admin.email, "", None)
            done = str((await ada.pay(ben, 100)).json()["id"])
            server.kill()
            answer = await admin.post(f"/v1/admin/transfers/{done}/give-back", WHY)
            assert (answer.status_code, answer.json()["code"]) == (503, "temporal_unavailable")
            (recorded,) = await actions(admin, done)
            assert (recorded["action"], recorded["outcome"], recorded["after"]) == ("give_back", "unknown", None)
    finally:
        await server.stop()


async def test_a_refused_action_is_recorded_with_its_answer_and_may_be_repeated(
    ada: Person, ben: Person, operator: Person, admin: Person
) -> None:
    done = str((await ada.pay(ben, 100)).json()["id"])
    for _ in range(2):
        late = await operator.post(f"/v1/admin/transfers/{done}/cancel", WHY, "cancel-1")
        assert (late.status_code, late.json()["code"]) == (409, "too_late_to_cancel")
    assert [(a["outcome"], a["answer"]) for a in await actions(admin, done)] == [
        ("refused", "The transfer is completed.")
    ] * 2


async def test_a_key_names_one_action_of_one_person(ada: Person, ben: Person, operator: Person, admin: Person) -> None:
    transfer_id = await in_review(ada, ben, 10_000)
    path = f"/v1/admin/transfers/{transfer_id}"
    for _ in range(2):
        answer = await operator.post(f"{path}/cancel", WHY, "my-key")
        assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    for other, body in ((f"{path}/cancel", {"reason": "another"}), (f"{path}/give-back", WHY)):
        reused = await operator.post(other, body, "my-key")
        assert (reused.status_code, reused.json()["code"]) == (422, "idempotency_key_reused")
    assert len(await actions(admin, transfer_id)) == 1
    assert (await admin.post(f"{path}/cancel", WHY, "my-key")).status_code == 200
    assert len(await actions(admin, transfer_id)) == 2


async def test_a_transfer_tells_what_people_did_with_it_by_every_channel_in_the_order_of_time(
    ada: Person, ben: Person, operator: Person, admin: Person, client: Client, book: Book
) -> None:
    transfer_id = await in_review(ada, ben, 30_000)
    path = f"/v1/admin/transfers/{transfer_id}"
    workflow_id = (await admin.get(path)).json()["workflow_id"]
    handle = client.get_workflow_handle(workflow_id)
    await handle.execute_update("decide", Decision(operator.email, Ruling.APPROVE, "called the bank"))
    async with holding(book.database, AccountId(ben.account_id)):
        assert (await admin.post(f"{path}/decisions", {"ruling": "approve", **WHY})).status_code == 200
        await reaches(ada, transfer_id, "debited")
        await handle.execute_update("give_back", Instruction(admin.id, "the bank calls"))
        await reaches(ada, transfer_id, "compensated")
    told = (await operator.get(path)).json()["interventions"]
    assert [(one["channel"], one["by"], one["action"], one["reason"]) for one in told] == [
        ("temporal", operator.id, "decide_review", "called the bank"),
        ("api", admin.id, "decide_review", "ticket 4711"),
        ("temporal", admin.id, "give_back", "the bank calls"),
    ]
    assert [one["outcome"] for one in told] == ["taken"] * 3
    assert told[1]["before"] == {"state": "in_review", "attempt": 1}
    assert told[2]["before"] == {"state": "debited", "attempt": 1}
    assert [one["after"] and one["after"]["ruling"] for one in told] == ["approve", "approve", None]
    assert told[1]["after"]["state"] in ("in_review", "debited")
    assert [one["at"] for one in told] == sorted(one["at"] for one in told)


async def test_a_batchs_decisions_are_told_at_each_transfer(
    ada: Person, ben: Person, operator: Person, admin: Person
) -> None:
    transfer_id = await in_review(ada, ben, 10_000)
    started = await operator.post("/v1/admin/reviews/decisions", {"ruling": "approve", "owner_id": ada.id, **WHY})
    assert started.status_code == 202
    await reaches(ada, transfer_id, "completed")
    (told,) = (await admin.get(f"/v1/admin/transfers/{transfer_id}")).json()["interventions"]
    assert (told["channel"], told["by"], told["after"]) == ("api", operator.id, {"ruling": "approve"})


async def test_an_action_that_somebody_else_recorded_is_not_theirs_to_claim(
    ada: Person, ben: Person, operator: Person, admin: Person, client: Client
) -> None:
    other = await in_review(ada, ben, 10_000)
    await operator.post(f"/v1/admin/transfers/{other}/cancel", WHY)
    (recorded,) = await actions(admin, other)
    transfer_id = await in_review(ada, ben, 10_000)
    path = f"/v1/admin/transfers/{transfer_id}"
    handle = client.get_workflow_handle((await admin.get(path)).json()["workflow_id"])
    await handle.execute_update("give_back", Instruction(admin.id, "claims", recorded["id"]))
    await reaches(ada, transfer_id, "cancelled")
    (told,) = (await admin.get(path)).json()["interventions"]
    assert (told["channel"], told["action_id"]) == ("temporal", None)


async def test_an_action_that_asked_for_something_else_is_not_believed(
    ada: Person, ben: Person, operator: Person, admin: Person, client: Client, database: Database
) -> None:
    other, transfer_id = await in_review(ada, ben, 10_000), await in_review(ada, ben, 10_000)
    omar = Actor(CustomerId(operator.id), Role.OPERATOR)

    async def lost(action: Action, subject: str, **asked: str) -> str:
        """An action of the operator's that nobody knows the outcome of."""
        before = {"state": "in_review", "attempt": 1}
        intention = Intention(omar, action, subject, "ticket 4711", before, asked or None)
        return (await Operators(database).intend(intention)).action_id

    async def channels(of: str) -> list[str]:
        found = (await admin.get(f"/v1/admin/transfers/{of}")).json()["interventions"]
        return [one["channel"] for one in found if one["reason"] == "it was Omar"]

    reviews, give_back = Reviews(database), await lost(Action.GIVE_BACK, transfer_id)
    for mine, claimed in (
        (transfer_id, await lost(Action.DECIDE_REVIEW, other, ruling="approve")),
        (other, await lost(Action.DECIDE_REVIEW, other, ruling="reject")),
    ):
        decision = Decision(operator.id, Ruling.APPROVE, "it was Omar", claimed)
        await reviews.write_decision(Step(TransferId(mine), 1), decision, f"typed-{mine}")
        assert await channels(mine) == ["temporal"]
    typed = Instruction(operator.id, "it was Omar", give_back)
    await reviews.write_instruction(Step(TransferId(transfer_id), 1), "retry_now", typed, "typed")
    assert await channels(transfer_id) == ["temporal"] * 2
    for subject in (other, transfer_id):
        assert {action["outcome"] for action in await actions(admin, subject)} == {"unknown"}
    # What it did ask for is believed.
    workflow_id = (await admin.get(f"/v1/admin/transfers/{transfer_id}")).json()["workflow_id"]
    asked = Instruction(operator.id, "ticket 4711", give_back)
    await client.get_workflow_handle(workflow_id).execute_update("give_back", asked)
    assert [action["outcome"] for action in await actions(admin, transfer_id)] == ["taken"]


async def test_an_action_that_was_concluded_or_linked_is_not_believed_again(
    ada: Person, ben: Person, operator: Person, admin: Person, database: Database
) -> None:
    transfer_id = await in_review(ada, ben, 30_000)
    path = f"/v1/admin/transfers/{transfer_id}"
    late = await operator.post(f"{path}/retry-now", WHY)
    assert (late.status_code, late.json()["code"]) == (409, "nothing_to_retry")
    assert (await operator.post(f"{path}/decisions", {"ruling": "approve", **WHY})).status_code == 200
    concluded = {action["action"]: action["id"] for action in await actions(admin, transfer_id)}
    reviews, step = Reviews(database), Step(TransferId(transfer_id), 1)
    typed = Instruction(operator.id, "it was Omar", concluded["retry_step"])
    await reviews.write_instruction(step, "retry_now", typed, "typed-1")
    (told,) = [one for one in (await admin.get(path)).json()["interventions"] if one["reason"] == "it was Omar"]
    assert (told["channel"], told["action_id"]) == ("temporal", None)
    assert {action["action"]: action["outcome"] for action in await actions(admin, transfer_id)} == {
        "decide_review": "taken",
        "retry_step": "refused",
    }


@pytest.mark.parametrize(
    "table", ["action_outcomes", "reviews", "review_reminders", "review_decisions", "instructions"]
)
async def test_records_cannot_be_edited(database_url: str, table: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        for statement in (f"DELETE FROM {table}", f"TRUNCATE {table} CASCADE"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
                await connection.execute(statement)
    finally:
        await connection.close()
