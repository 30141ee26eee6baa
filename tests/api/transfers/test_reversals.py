"""Reversals over HTTP: by whom, of what, how much, how often, and at once."""

import asyncio
import secrets
from typing import Any

import httpx
import pytest
from temporalio.client import Client

from api.temporal import TemporalGateway
from api.transfers.acceptance import Acceptance, TransferRequest, order_for
from api.transfers.completion import Completions
from database.connections import Database
from devenv.demo.postgres import holding
from ledger.accounts import AccountStatus
from ledger.ids import AccountId, CustomerId, TransferId
from ledger.postgres.book import Book
from ledger.postgres.transfer_reads import TransferReads
from ledger.transfers import Standing, State, TransferOrder
from settings import Settings
from staff.permissions import Role
from tests.account_status import set_account_status
from tests.api.people import Person, reaches, register, running_api
from tests.orders import FINGERPRINTS, promoted


@pytest.fixture
async def paid(ada: Person, ben: Person) -> str:
    """A completed transfer of 100.00 from ada to ben."""
    return str((await ada.pay(ben, 10_000)).json()["id"])


async def reverse(
    person: Person, transfer_id: str, key: str | None = None, prefer: str | None = None, **body: Any
) -> httpx.Response:
    return await person.post(f"/v1/transfers/{transfer_id}/reversals", body, key, prefer)


def answered(answer: httpx.Response) -> tuple[int, str]:
    """The status, and the state or what was refused."""
    body = answer.json()
    failure = body.get("failure")
    return answer.status_code, failure["code"] if failure else body.get("state") or body["code"]


async def test_a_payee_gives_back_all_of_it_and_both_see_it_linked_both_ways(
    ada: Person, ben: Person, paid: str
) -> None:
    answer = await reverse(ben, paid, reason="Sent twice")
    assert answered(answer) == (201, "completed")
    made = answer.json()
    assert answer.headers["Location"] == f"/v1/transfers/{made['id']}"
    assert (made["kind"], made["reverses_transfer_id"], made["amount"], made["currency"], made["note"]) == (
        "reversal",
        paid,
        10_000,
        "USD",
        "Sent twice",
    )
    assert (made["source_account_id"], made["destination_account_id"]) == (ben.account_id, ada.account_id)
    assert [await ada.balance(), await ben.balance()] == [50_000, 0]
    for person in (ada, ben):
        assert (await person.get(f"/v1/transfers/{made['id']}")).json()["state"] == "completed"
        assert (await person.get(f"/v1/transfers/{made['id']}/receipt")).status_code == 200
        linked = (await person.get(f"/v1/transfers/{paid}/reversals")).json()
        assert (linked["reversed_amount"], linked["left_amount"], [r["id"] for r in linked["items"]]) == (
            10_000,
            0,
            [made["id"]],
        )
        listed = (await person.get("/v1/transfers", account_id=person.account_id)).json()["items"]
        assert listed[0]["id"] == made["id"]
    assert (await ada.get(f"/v1/transfers/{paid}")).json()["state"] == "completed"


async def test_a_transfer_is_reversed_in_parts_up_to_its_amount_and_no_further(
    ada: Person, ben: Person, paid: str
) -> None:
    assert answered(await reverse(ben, paid, amount=4_000)) == (201, "completed")
    assert answered(await reverse(ben, paid, amount=6_001)) == (409, "reversal_too_large")
    assert answered(await reverse(ben, paid, amount=5_000)) == (201, "completed")
    rest = await reverse(ben, paid)
    assert (answered(rest), rest.json()["amount"]) == ((201, "completed"), 1_000)
    assert answered(await reverse(ben, paid)) == (409, "reversal_too_large")
    assert answered(await reverse(ben, paid, amount=1)) == (409, "reversal_too_large")
    assert [await ada.balance(), await ben.balance()] == [50_000, 0]
    first = (await ben.get(f"/v1/transfers/{paid}/reversals", limit=2)).json()
    second = (await ben.get(f"/v1/transfers/{paid}/reversals", limit=2, cursor=first["next_cursor"])).json()
    assert [r["amount"] for r in first["items"] + second["items"]] == [1_000, 5_000, 4_000]
    assert second["next_cursor"] is None


async def test_of_twenty_reversals_at_once_exactly_what_fits_comes_back(ada: Person, ben: Person, paid: str) -> None:
    await ben.deposit(100_000)  # money is not what stops them
    answers = await asyncio.gather(*(reverse(ben, paid, prefer="wait=30", amount=3_000) for _ in range(20)))
    outcomes = [answered(answer) for answer in answers]
    assert outcomes.count((201, "completed")) == 3
    assert set(outcomes) <= {(201, "completed"), (201, "limit_exceeded"), (409, "reversal_too_large")}
    assert [await ada.balance(), await ben.balance()] == [49_000, 101_000]


async def test_twenty_full_reversals_at_once_bring_it_back_once(ada: Person, ben: Person, paid: str) -> None:
    await ben.deposit(500_000)
    answers = await asyncio.gather(*(reverse(ben, paid, prefer="wait=30") for _ in range(20)))
    assert [answered(answer) for answer in answers].count((201, "completed")) == 1
    assert [await ada.balance(), await ben.balance()] == [50_000, 500_000]


async def test_a_key_names_one_reversal_however_often_it_is_sent(ada: Person, ben: Person, paid: str) -> None:
    first = await reverse(ben, paid, "back")
    again = await reverse(ben, paid, "back")
    assert again.json() == first.json()
    assert again.headers["Idempotent-Replayed"] == "true"
    for body in ({"amount": 10_000}, {"reason": "another"}):
        assert answered(await reverse(ben, paid, "back", **body)) == (422, "idempotency_key_reused")
    assert answered(await ben.pay(ada, 10_000, "back")) == (422, "idempotency_key_reused")
    assert [await ada.balance(), await ben.balance()] == [50_000, 0]


async def test_ten_equal_requests_at_once_make_one_reversal(ada: Person, ben: Person, paid: str) -> None:
    answers = await asyncio.gather(*(reverse(ben, paid, "back", amount=2_000) for _ in range(10)))
    assert {answered(answer) for answer in answers} == {(201, "completed")}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert await ada.balance() == 42_000


async def test_only_the_payee_and_admins_reverse(
    http: httpx.AsyncClient, ada: Person, ben: Person, operator: Person, admin: Person, paid: str
) -> None:
    stranger = await register(http)
    assert answered(await reverse(ada, paid)) == (403, "forbidden")
    assert answered(await reverse(operator, paid, reason="asked to")) == (403, "forbidden")
    assert answered(await reverse(stranger, paid)) == (404, "transfer_not_found")
    assert (await stranger.get(f"/v1/transfers/{paid}/reversals")).status_code == 404
    assert answered(await reverse(admin, paid)) == (422, "validation_failed")
    assert answered(await reverse(admin, paid, amount=1_000, reason="Court order 7")) == (201, "completed")
    assert answered(await reverse(ben, paid, amount=1_000)) == (201, "completed")
    assert [await ada.balance(), await ben.balance()] == [42_000, 8_000]


async def test_an_admins_reversal_is_recorded_with_its_reason_and_seen_by_both_parties(
    ada: Person, ben: Person, admin: Person, paid: str
) -> None:
    made = (await reverse(admin, paid, "order", amount=1_000, reason="Court order 7")).json()
    await reverse(admin, paid, "order", amount=1_000, reason="Court order 7")
    actions = (await admin.get("/v1/admin/actions", subject=paid)).json()["items"]
    reversal = {"reversal_id": made["id"], "amount": 1_000, "currency": "USD"}
    assert [(a["actor_id"], a["action"], a["reason"], a["before"], a["after"]) for a in actions] == [
        (
            admin.id,
            "reverse_transfer",
            "Court order 7",
            {"state": "completed", "left": 10_000},
            {"state": "completed", "left": 9_000} | reversal,
        )
    ]
    for person in (ada, ben, admin):
        assert (await person.get(f"/v1/transfers/{made['id']}")).json()["note"] == "Court order 7"
    assert (await ben.get(f"/v1/transfers/{made['id']}")).json()["workflow_id"] is None
    assert made["workflow_id"] is not None
    assert (await admin.get(f"/v1/transfers/{paid}/reversals")).json()["reversed_amount"] == 1_000


async def test_an_admin_does_not_bring_back_what_they_paid_themselves(admin: Person, ben: Person) -> None:
    await admin.deposit(500)
    paid = (await admin.pay(ben, 500)).json()["id"]
    assert answered(await reverse(admin, paid, reason="mine")) == (403, "conflict_of_interest")


async def test_a_reversal_that_staff_could_not_make_is_hidden_from_the_payee(
    ada: Person, ben: Person, admin: Person, operator: Person, paid: str, database: Database
) -> None:
    await ben.pay(ada, 10_000)
    made = await reverse(admin, paid, reason="Court order 7")
    assert answered(made) == (201, "insufficient_funds")
    failed = made.json()["id"]
    assert (await ben.get(f"/v1/transfers/{failed}")).status_code == 404
    assert (await ben.get(f"/v1/transfers/{paid}/reversals")).json()["items"] == []
    seen = (await operator.get(f"/v1/transfers/{paid}/reversals")).json()["items"]
    assert [reversal["id"] for reversal in seen] == [failed]
    assert (await admin.get(f"/v1/admin/transfers/{failed}")).json()["messages"] == []


async def test_a_payee_who_is_staff_sees_no_hidden_attempt_against_themselves(
    ada: Person, operator: Person, admin: Person, ben: Person, database: Database
) -> None:
    paid = (await ada.pay(operator, 10_000)).json()["id"]
    await operator.pay(ben, 10_000)
    failed = (await reverse(admin, paid, reason="Court order 7")).json()["id"]
    payee = operator
    assert (await payee.get(f"/v1/transfers/{failed}")).status_code == 404
    assert (await payee.get(f"/v1/admin/transfers/{failed}")).status_code == 404
    assert (await payee.get(f"/v1/transfers/{paid}/reversals")).json()["items"] == []
    for query in ({"kind": "reversal"}, {"account_id": payee.account_id, "state": "failed"}, {"owner_id": admin.id}):
        assert (await payee.get("/v1/admin/transfers", **query)).json()["items"] == [], query
    for subject in (paid, failed):
        assert (await payee.get("/v1/admin/actions", subject=subject)).json()["items"] == []
    assert (await payee.get(f"/v1/admin/transfers/{paid}")).json()["actions"] == []
    # Others on the staff, and whoever tried, see it.
    await promoted(database, ben.id, Role.OPERATOR)
    for person in (ben, admin):
        assert [item["id"] for item in (await person.get(f"/v1/transfers/{paid}/reversals")).json()["items"]] == [
            failed
        ]
        assert (await person.get(f"/v1/admin/transfers/{failed}")).status_code == 200
        assert len((await person.get("/v1/admin/actions", subject=paid)).json()["items"]) == 1
    # An attempt of one's own, and one that moved money, are no secret.
    mine = (await reverse(payee, paid)).json()["id"]
    assert (await payee.get(f"/v1/admin/transfers/{mine}")).status_code == 200
    await payee.deposit(9_000)
    await payee.deposit(1_000)
    taken = (await reverse(admin, paid, reason="Court order 7")).json()
    assert taken["state"] == "completed", taken
    assert (await payee.get(f"/v1/admin/transfers/{taken['id']}")).status_code == 200


async def test_a_payee_without_the_money_fails_and_tries_again_later(ada: Person, ben: Person, paid: str) -> None:
    await ben.pay(ada, 9_000)
    failed = await reverse(ben, paid)
    assert answered(failed) == (201, "insufficient_funds")
    # What failed takes nothing from what is left.
    assert (await ben.get(f"/v1/transfers/{paid}/reversals")).json()["left_amount"] == 10_000
    await ben.deposit(20_000)
    again = await ben.post(f"/v1/transfers/{failed.json()['id']}/retry", None)
    assert (answered(again), again.json()["attempt"]) == ((201, "completed"), 2)
    assert await ben.balance() == 11_000


async def test_a_failed_reversal_is_not_tried_again_when_others_took_its_part(
    ada: Person, ben: Person, paid: str
) -> None:
    await ben.pay(ada, 9_000)
    failed = (await reverse(ben, paid)).json()
    await ben.deposit(50_000)
    assert answered(await reverse(ben, paid, amount=1)) == (201, "completed")
    assert answered(await ben.post(f"/v1/transfers/{failed['id']}/retry", None)) == (409, "reversal_too_large")


@pytest.mark.parametrize("whose", ["payee", "payer"])
async def test_a_frozen_account_keeps_a_reversal_from_moving(
    ada: Person, ben: Person, book: Book, paid: str, whose: str
) -> None:
    frozen = ben if whose == "payee" else ada
    await set_account_status(book.database, AccountId(frozen.account_id), AccountStatus.FROZEN)
    failed = await reverse(ben, paid)
    assert answered(failed) == (201, "account_frozen")
    assert await ben.balance() == 10_000
    await set_account_status(book.database, AccountId(frozen.account_id), AccountStatus.ACTIVE)
    assert answered(await ben.post(f"/v1/transfers/{failed.json()['id']}/retry", None)) == (201, "completed")
    assert await ben.balance() == 0


async def test_a_reversal_that_cannot_be_delivered_goes_back_to_the_payee_and_frees_its_part(
    ada: Person, ben: Person, book: Book, paid: str
) -> None:
    async with holding(book.database, AccountId(ada.account_id)) as held:
        made = (await reverse(ben, paid, prefer="wait=0")).json()
        await reaches(ben, made["id"], "debited")
        assert answered(await reverse(ben, paid, amount=1)) == (409, "reversal_too_large")
        await held.set_status(AccountStatus.CLOSED)
    await reaches(ben, made["id"], "compensated")
    assert (await ben.get(f"/v1/transfers/{paid}/reversals")).json()["left_amount"] == 10_000
    assert await ben.balance() == 10_000


async def test_a_reversal_deposits_and_what_is_not_completed_are_not_reversed(ada: Person, ben: Person) -> None:
    back = (await reverse(ben, (await ada.pay(ben, 500)).json()["id"])).json()["id"]
    assert answered(await reverse(ada, back)) == (409, "not_reversible")
    deposit = (await ada.deposit(100))["id"]
    assert answered(await reverse(ada, deposit)) == (409, "not_reversible")
    out = await ada.post(f"/v1/accounts/{ada.account_id}/withdrawals", {"amount": 100, "currency": "USD"})
    assert answered(await reverse(ada, out.json()["id"])) == (409, "not_reversible")
    failed = (await ada.pay(ben, 900_000)).json()["id"]
    assert answered(await reverse(ada, failed)) == (409, "not_reversible")
    assert answered(await reverse(ben, failed)) == (404, "transfer_not_found")
    assert (await ada.get(f"/v1/transfers/{deposit}/reversals")).json()["left_amount"] == 0


async def test_screening_does_not_stop_what_it_let_through(settings: Settings, database: Database) -> None:
    async with running_api(settings, database) as http:
        ada, ben = await register(http), await register(http)
        await ada.deposit(10_000)
        paid = (await ada.pay(ben, 9_000)).json()["id"]
    stricter = settings.model_copy(update={"decline_from_major": 50, "review_from_major": 10})
    async with running_api(stricter, database) as http:
        ben = Person(http, ben.id, ben.account_id, ben.token, ben.email)
        assert answered(await reverse(ben, paid)) == (201, "completed")


async def test_bad_reversals_get_a_clear_answer(ben: Person, paid: str) -> None:
    for body in ({"amount": 0}, {"amount": "10"}, {"reason": ""}, {"reason": "x" * 141}, {"colour": "red"}):
        assert answered(await reverse(ben, paid, **body)) == (422, "validation_failed")
    path = f"/v1/transfers/{paid}/reversals"
    answer = await ben.http.post(path, json={}, headers={"Authorization": f"Bearer {ben.token}"})
    assert answered(answer) == (400, "idempotency_key_missing")
    assert answered(await reverse(ben, "trf_" + "a" * 26)) == (404, "transfer_not_found")


async def test_a_reversal_is_acknowledged_and_readable_without_a_worker(
    settings: Settings, database: Database, ada: Person, ben: Person, paid: str
) -> None:
    nobody = settings.model_copy(update={"task_queue": f"{settings.task_queue}-nobody"})
    async with running_api(nobody, database, worker=False) as http:
        alone = Person(http, ben.id, ben.account_id, ben.token, ben.email)
        made = await reverse(alone, paid, prefer="wait=0", amount=9_000)
        assert answered(made) == (202, "initiated")
        assert (await alone.get(f"/v1/transfers/{made.json()['id']}")).json()["amount"] == 9_000
        assert answered(await reverse(alone, paid, amount=1_001)) == (409, "reversal_too_large")


async def test_a_repeat_of_all_that_is_left_takes_the_amount_of_the_first_request(
    settings: Settings,
    database: Database,
    client: Client,
    transfer_reads: TransferReads,
    book: Book,
    ada: Person,
    ben: Person,
    paid: str,
) -> None:
    """The first request found 100.00 left and was accepted by Temporal; nobody has written its row yet."""

    async def connect() -> Client:
        return client

    def all_that_is_left(amount_minor: int) -> TransferOrder:
        wanted = TransferRequest(
            AccountId(ben.account_id),
            AccountId(ada.account_id),
            amount_minor,
            "USD",
            reverses_transfer_id=TransferId(paid),
            all_that_is_left=True,
        )
        return FINGERPRINTS.signed(order_for(CustomerId(ben.id), "back", wanted))

    queue = f"test-{secrets.token_hex(6)}"
    gateway = TemporalGateway(connect, queue, client)
    first = all_that_is_left(10_000)
    assert await gateway.start(first)
    # The repeat finds 60.00 left: another reversal has taken 40.00, and was given back later.
    acceptance = Acceptance(gateway, transfer_reads, book, Completions(worker_is_here=False))
    repeated = await acceptance.accept(all_that_is_left(6_000), wait_seconds=0)
    assert (repeated.transfer.amount_minor, repeated.replayed) == (10_000, True)
    async with running_api(settings.model_copy(update={"task_queue": queue}), database):
        handle = client.get_workflow_handle(first.workflow_id, result_type=Standing)
        assert (await handle.result()).state is State.COMPLETED
    async with database.connection() as connection:
        bodies = await connection.fetch("SELECT body FROM notifications WHERE transfer_id = $1", first.transfer_id)
    assert len(bodies) == 2
    assert all("$100.00" in row["body"] for row in bodies)
    again = await acceptance.accept(all_that_is_left(10_000), wait_seconds=0)
    assert (again.transfer.id, again.replayed) == (first.transfer_id, True)
    assert [await ada.balance(), await ben.balance()] == [50_000, 0]
