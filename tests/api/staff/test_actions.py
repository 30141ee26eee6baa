"""Nothing that staff do is without record, whatever crashes; a repeat is one action; and one list tells it all."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
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
from ledger.transfers import Transfer
from reviews.review import Decision, Ruling
from settings import Settings
from staff.actions import NotTaken, Outcome, Taken, update_id_for
from staff.permissions import Action, Actor, Channel, Role
from staff.postgres.actions import ActionSearch, StaffActions
from staff.postgres.transfer_file import TransferFiles
from staff.update_input import StaffRequest
from tests.api.people import Person, in_review, reaches, register, running_api
from tests.orders import promoted
from workflows.search_attributes import SEARCH_ATTRIBUTE_TYPES

WHY = {"reason": "ticket 4711"}


class ForgetfulActions(StaffActions):
    """Dies after something was sent, and before its outcome is recorded."""

    async def conclude(self, action_id: ActionId, outcome: Taken | NotTaken) -> None:
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
    app.state.remit = replace(whole, interventions=replace(whole.interventions, actions=ForgetfulActions(database)))
    return lambda: setattr(app.state, "remit", whole)


async def actions(staff: Person, subject: str) -> list[dict[str, Any]]:
    return list(reversed((await staff.get("/v1/admin/actions", subject=subject)).json()["items"]))


async def test_a_give_back_whose_answer_is_lost_is_on_record_as_taken_and_its_repeat_is_a_replay(
    ada: Person, ben: Person, operator: Person, admin: Person, database: Database, book: Book
) -> None:
    mend = dies_before_concluding(ada.http, database)
    async with holding(book.database, AccountId(ben.account_id)):
        moving = str((await ada.pay(ben, 100, prefer="wait=0")).json()["id"])
        await reaches(ada, moving, "debited")
        path = f"/v1/admin/transfers/{moving}/give-back"
        assert (await operator.post(path, WHY, "give-back-1")).status_code == 503
        await reaches(ada, moving, "compensated")
    (recorded,) = await actions(admin, moving)
    standing = {"state": "debited", "attempt": 1}
    assert (recorded["outcome"], recorded["before"], recorded["after"]) == ("taken", standing, standing)
    mend()
    again = await operator.post(path, WHY, "give-back-1")
    assert (again.status_code, again.headers["Idempotent-Replayed"]) == (200, "true")
    assert again.json()["answer"] == recorded["answer"]
    assert len(await actions(admin, moving)) == 1


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
            await promoted(database, admin.id, Role.ADMIN)
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
    assert [(a["outcome"], a["code"], a["answer"]) for a in await actions(admin, done)] == [
        ("refused", "too_late_to_cancel", "The transfer is completed.")
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


async def test_a_transfer_lists_all_actions_about_it_by_every_channel_in_the_order_of_time(
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
        await handle.execute_update("give_back", StaffRequest(admin.id, "the bank calls"))
        await reaches(ada, transfer_id, "compensated")
    listed = (await operator.get(path)).json()["actions"]
    assert [(one["channel"], one["actor_id"], one["action"], one["reason"]) for one in listed] == [
        ("temporal", operator.id, "decide_review", "called the bank"),
        ("api", admin.id, "decide_review", "ticket 4711"),
        ("temporal", admin.id, "give_back", "the bank calls"),
    ]
    assert listed == await actions(admin, transfer_id)
    assert [one["outcome"] for one in listed] == ["taken"] * 3
    in_review_now = {"state": "in_review", "attempt": 1}
    assert [one["before"] for one in listed] == [in_review_now, in_review_now, {"state": "debited", "attempt": 1}]
    assert [one["after"].get("ruling") for one in listed] == ["approve", "approve", None]
    assert [one["recorded_at"] for one in listed] == sorted(one["recorded_at"] for one in listed)


async def test_an_action_that_somebody_else_recorded_is_not_theirs_to_claim(
    ada: Person, ben: Person, operator: Person, admin: Person, client: Client
) -> None:
    other = await in_review(ada, ben, 10_000)
    await operator.post(f"/v1/admin/transfers/{other}/cancel", WHY)
    (recorded,) = await actions(admin, other)
    transfer_id = await in_review(ada, ben, 10_000)
    path = f"/v1/admin/transfers/{transfer_id}"
    handle = client.get_workflow_handle((await admin.get(path)).json()["workflow_id"])
    await handle.execute_update("give_back", StaffRequest(admin.id, "claims", recorded["id"]))
    await reaches(ada, transfer_id, "cancelled")
    (typed,) = await actions(admin, transfer_id)
    assert (typed["channel"], typed["actor_id"], typed["reason"]) == ("temporal", admin.id, "claims")


@dataclass(frozen=True)
class Claim:
    """A transfer in review, an operator's actions, and what somebody types into an update in the operator's name."""

    actions: StaffActions
    operator: Actor
    transfer: Transfer

    async def request(self, action: Action) -> ActionId:
        """An action of the API whose outcome nobody knows."""
        return (await self.actions.request(self.operator, action, self.transfer, "ticket 4711")).id

    async def type(self, action: Action, claimed: ActionId, update_id: str) -> None:
        typed = StaffRequest(self.operator.id, "it was Omar", claimed)
        await self.actions.take(self.transfer.order, action, typed, update_id)

    async def found(self) -> list[tuple[Channel, str, Outcome]]:
        """All actions, oldest first."""
        page = await self.actions.find(ActionSearch(subject=self.transfer.id), 20)
        return [(each.channel, each.reason, each.outcome) for each in page.items[::-1]]


@pytest.fixture
async def claim(ada: Person, ben: Person, operator: Person, database: Database) -> Claim:
    transfer = await TransferFiles(database).find_transfer(TransferId(await in_review(ada, ben, 10_000)))
    assert transfer is not None
    return Claim(StaffActions(database), Actor(CustomerId(operator.id), Role.OPERATOR), transfer)


TYPED = (Channel.TEMPORAL, "it was Omar", Outcome.TAKEN)


async def test_an_update_takes_the_action_that_requested_it_once(claim: Claim) -> None:
    requested = await claim.request(Action.GIVE_BACK)
    for _ in range(2):
        await claim.type(Action.GIVE_BACK, requested, update_id_for(Action.GIVE_BACK, requested))
    assert await claim.found() == [(Channel.API, "ticket 4711", Outcome.TAKEN)]


async def test_an_action_that_requested_something_else_is_not_believed(claim: Claim) -> None:
    requested = await claim.request(Action.GIVE_BACK)
    await claim.type(Action.RETRY_STEP, requested, "typed-1")
    assert await claim.found() == [(Channel.API, "ticket 4711", Outcome.UNKNOWN), TYPED]


@pytest.mark.parametrize("outcome", [Taken("done"), NotTaken("too_late", "It is too late.")])
async def test_an_action_that_has_its_outcome_is_not_believed_again(claim: Claim, outcome: Taken | NotTaken) -> None:
    requested = await claim.request(Action.GIVE_BACK)
    await claim.actions.conclude(requested, outcome)
    await claim.type(Action.GIVE_BACK, requested, "typed-1")
    before = (Channel.API, "ticket 4711", Outcome.TAKEN if isinstance(outcome, Taken) else Outcome.REFUSED)
    assert await claim.found() == [before, TYPED]


async def test_an_update_typed_in_temporal_is_recorded_once_however_often_its_step_runs(claim: Claim) -> None:
    for _ in range(2):
        await claim.actions.take(
            claim.transfer.order, Action.GIVE_BACK, StaffRequest(claim.operator.id, "it was Omar"), "typed-1"
        )
    assert await claim.found() == [TYPED]


@pytest.mark.parametrize(
    "table", ["staff_actions", "staff_action_outcomes", "reviews", "review_reminders", "review_decisions"]
)
async def test_records_cannot_be_edited(database_url: str, table: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        for statement in (f"DELETE FROM {table}", f"TRUNCATE {table} CASCADE"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
                await connection.execute(statement)
    finally:
        await connection.close()
