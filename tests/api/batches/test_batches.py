"""Batches over HTTP: sent as a whole, posted by a worker, and followed until each item has its outcome."""

import asyncio
import secrets
from typing import Any

import httpx
import pytest

from api.http.middleware import LONG_BODIES, MAX_BODY_BYTES
from batches.batch import CHUNK, MOST_ITEMS
from database.connections import Database
from ledger.accounts import AccountStatus
from ledger.ids import new_account_id
from ledger.postgres.audit import audit
from ledger.postgres.book import Book
from settings import Settings
from tests.account_status import set_account_status
from tests.api.people import Person
from tests.waiting import until

PATH = "/v1/batches"
# An amount for a person's review.
REVIEWED = 60_000


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"review_from_major": REVIEWED // 100})


def item(payer: Person, payee: str, amount: int, reference: str | None = None, **changes: Any) -> dict[str, Any]:
    return {
        "reference": reference or f"salary-{secrets.token_hex(6)}",
        "source_account_id": payer.account_id,
        "destination_account_id": payee,
        "amount": amount,
        "currency": "USD",
    } | changes


async def sent(payer: Person, items: list[dict[str, Any]], mode: str = "best_effort") -> str:
    answer = await payer.post(PATH, {"mode": mode, "items": items})
    assert answer.status_code == 202, answer.text
    assert answer.json()["counts"]["pending"] == len(items)
    return str(answer.headers["Location"])


async def settled(payer: Person, path: str, *states: str) -> dict[str, Any]:
    wanted = states or ("completed", "refused", "cancelled")

    async def is_there() -> bool:
        return (await payer.get(path)).json()["state"] in wanted

    await until(is_there, f"the batch is {' or '.join(wanted)}")
    return dict((await payer.get(path)).json())


def counted(found: dict[str, Any]) -> dict[str, int]:
    return {state: count for state, count in found["counts"].items() if count}


async def items_of(person: Person, path: str) -> list[dict[str, Any]]:
    page = (await person.get(f"{path}/items", limit=50)).json()
    found = page["items"]
    while page["next_cursor"]:
        page = (await person.get(f"{path}/items", limit=50, cursor=page["next_cursor"])).json()
        found += page["items"]
    return list(found)


async def test_a_batch_pays_what_can_be_paid_and_says_why_the_rest_was_not(
    ada: Person, ben: Person, database: Database
) -> None:
    items = [item(ada, ben.account_id, 60, note=f"number {n}") for n in range(CHUNK + 3)]
    items[1]["amount"] = 90_000
    items[CHUNK + 1]["destination_account_id"] = new_account_id()
    path = await sent(ada, items)
    found = await settled(ada, path)
    assert (found["state"], found["total"], found["posted"]) == ("completed", CHUNK + 3, CHUNK + 3)
    assert counted(found) == {"completed": CHUNK + 1, "failed": 2}
    assert (await ada.balance(), await ben.balance()) == (50_000 - 60 * (CHUNK + 1), 60 * (CHUNK + 1))
    listed = await items_of(ada, path)
    assert [each["line"] for each in listed] == list(range(1, CHUNK + 4))
    assert [(each["line"], each["failure"]["code"]) for each in listed if each["failure"]] == [
        (2, "insufficient_funds"),
        (CHUNK + 2, "account_not_found"),
    ]
    paid = (await ada.get(f"/v1/transfers/{listed[0]['transfer_id']}")).json()
    assert (paid["state"], paid["transaction_id"], paid["note"]) == ("completed", items[0]["reference"], "number 0")
    assert paid["workflow_id"] == found["workflow_id"]
    assert (await audit(database)).clean


async def test_a_repeated_batch_is_the_first_one(ada: Person, ben: Person) -> None:
    body = {"items": [item(ada, ben.account_id, 100)]}
    key = secrets.token_hex(8)
    first, again = await ada.post(PATH, body, key), await ada.post(PATH, body, key)
    assert again.json()["id"] == first.json()["id"]
    assert again.headers["Idempotent-Replayed"] == "true"
    other = await ada.post(PATH, {"items": [item(ada, ben.account_id, 200)]}, key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    await settled(ada, first.headers["Location"])
    assert await ben.balance() == 100


async def test_a_reference_that_batches_and_withdrawals_race_for_moves_money_once(
    ada: Person, ben: Person, database: Database
) -> None:
    references = [f"salary-{secrets.token_hex(6)}" for _ in range(8)]
    orders = [references, references[::-1]]
    batches = [{"items": [item(ada, ben.account_id, 10, reference) for reference in order]} for order in orders]
    withdrawals = f"/v1/accounts/{ada.account_id}/withdrawals"
    answers = await asyncio.gather(
        *(ada.post(PATH, batch) for batch in batches),
        *(ada.post(withdrawals, {"amount": 10, "currency": "USD", "transaction_id": each}) for each in references),
    )
    paths = [answer.headers["Location"] for answer in answers[:2] if answer.status_code == 202]
    for path in paths:
        await settled(ada, path)
    listed = [each for path in paths for each in await items_of(ada, path)]
    singles = [answer.json() for answer in answers[2:]]
    refused = {answer.json()["code"] for answer in answers if answer.is_error}
    assert refused <= {"transaction_id_reused", "batch_invalid"}
    assert {each["failure"]["code"] for each in listed if each["failure"]} <= {"transaction_id_reused"}
    paid = {each["transfer_id"] for each in listed if not each["failure"]}
    paid |= {one["id"] for one in singles if one.get("state") == "completed"}
    assert len(paid) == len(references), (listed, singles)
    assert await ada.balance() == 50_000 - 10 * len(references)
    assert (await audit(database)).clean


async def test_a_batch_with_errors_names_the_line_and_code_of_each_and_keeps_nothing(ada: Person, ben: Person) -> None:
    good = item(ada, ben.account_id, 10, "once")
    used = item(ada, ben.account_id, 10, "used")
    await settled(ada, await sent(ada, [used]))
    items = [
        good,
        good | {"amount": 0},
        good | {"amount": "10"},
        good | {"currency": "XYZ"},
        {name: value for name, value in good.items() if name != "reference"},
        good | {"colour": "red"},
        "no item",
    ]
    answer = await ada.post(PATH, {"items": items})
    assert (answer.status_code, answer.json()["code"]) == (422, "batch_invalid")
    assert [(each["line"], each["field"], each["code"]) for each in answer.json()["errors"]] == [
        (2, "body.items.1.amount", "out_of_range"),
        (3, "body.items.2.amount", "invalid"),
        (4, "body.items.3.currency", "invalid"),
        (5, "body.items.4.reference", "missing"),
        (6, "body.items.5.colour", "unknown_field"),
        (7, "body.items.6", "invalid"),
    ]
    items = [good, good, used, item(ada, ada.account_id, 10), item(ben, ada.account_id, 10)]
    answer = await ada.post(PATH, {"items": items})
    assert [(each["line"], each["code"]) for each in answer.json()["errors"]] == [
        (1, "reference_repeated"),
        (2, "reference_repeated"),
        (3, "transaction_id_reused"),
        (4, "same_account"),
        (5, "account_not_found"),
    ]
    assert len((await ada.get(PATH)).json()["items"]) == 1


async def test_a_batch_that_is_too_large_is_refused(ada: Person, ben: Person) -> None:
    one = item(ada, ben.account_id, 1)
    many = await ada.post(PATH, {"items": [one] * (MOST_ITEMS + 1)})
    assert (many.status_code, many.json()["code"]) == (413, "batch_too_large")
    long = await ada.http.post(
        PATH, content=b" " * (LONG_BODIES[PATH] + 1), headers={"Authorization": f"Bearer {ada.token}"}
    )
    assert (long.status_code, long.json()["code"]) == (413, "body_too_large")


async def test_a_csv_is_the_batch_that_its_lines_say(ada: Person, ben: Person) -> None:
    header = "reference,source_account_id,destination_account_id,amount,currency,note"

    async def post(text: str, query: str = "") -> httpx.Response:
        headers = {
            "Authorization": f"Bearer {ada.token}",
            "Content-Type": "text/csv; charset=utf-8",
            "Idempotency-Key": secrets.token_hex(8),
        }
        return await ada.http.post(f"{PATH}{query}", content=text.encode(), headers=headers)

    accounts = f"{ada.account_id},{ben.account_id}"
    answer = await post(
        f'{header}\r\none,{accounts},100,USD,"Rent, March"\r\ntwo,{accounts},50,USD,\r\n', "?mode=atomic"
    )
    assert (answer.status_code, answer.json()["mode"]) == (202, "atomic")
    path = answer.headers["Location"]
    assert counted(await settled(ada, path)) == {"completed": 2}
    assert [(each["reference"], each["note"]) for each in await items_of(ada, path)] == [
        ("one", "Rent, March"),
        ("two", None),
    ]
    wrong = await post(f"{header}\nthree,{accounts},ten,USD,\n")
    assert [(each["line"], each["code"]) for each in wrong.json()["errors"]] == [(1, "invalid")]
    # Too few fields, too many, and digits that people read as an amount while programs disagree about them.
    wrong = await post(f"{header}\nfour,{accounts},1\nfive,{accounts},1,USD,,\nsix,{accounts},\uff19,USD,\n,,,,,\n")
    assert {(each["line"], each["field"], each["code"]) for each in wrong.json()["errors"]} >= {
        (1, "body.items.0", "invalid"),
        (2, "body.items.1", "invalid"),
        (3, "body.items.2.amount", "invalid"),
        (4, "body.items.3.reference", "missing"),
    }
    for text in ("reference,amount\na,1\n", f'{header}\n"five', "\xff"):
        assert (await post(text)).status_code == 422


async def test_a_batch_needs_a_key_and_has_one_mode(ada: Person, ben: Person) -> None:
    body = {"items": [item(ada, ben.account_id, 100)]}
    without = await ada.http.post(PATH, json=body, headers={"Authorization": f"Bearer {ada.token}"})
    assert (without.status_code, without.json()["code"]) == (400, "idempotency_key_missing")
    # JSON has its mode in its body: one beside it must not be lost in silence.
    elsewhere = await ada.post(f"{PATH}?mode=atomic", body)
    assert (elsewhere.status_code, elsewhere.json()["code"]) == (422, "validation_failed")
    assert (await ada.get(PATH)).json()["items"] == []


async def test_an_atomic_batch_is_posted_as_a_whole_or_not_at_all(ada: Person, ben: Person) -> None:
    items = [item(ada, ben.account_id, 90) for _ in range(CHUNK + 2)]
    items[CHUNK] = item(ada, new_account_id(), 100)
    path = await sent(ada, items, "atomic")
    found = await settled(ada, path)
    assert (found["state"], counted(found)) == ("refused", {"failed": 1, "not_posted": CHUNK + 1})
    failed = [each for each in await items_of(ada, path) if each["failure"]]
    assert [(each["line"], each["failure"]["code"]) for each in failed] == [(CHUNK + 1, "account_not_found")]
    assert failed[0]["transfer_id"] is None  # it has none that anybody could read
    assert (await ada.balance(), await ben.balance()) == (50_000, 0)
    items[CHUNK] = item(ada, ben.account_id, 90)
    found = await settled(ada, await sent(ada, items[2:], "atomic"))
    assert (found["state"], counted(found)) == ("completed", {"completed": CHUNK})
    assert await ben.balance() == 90 * CHUNK


async def test_an_item_of_a_batch_that_needs_a_review_becomes_a_transfer_of_its_own(
    ada: Person, ben: Person, admin: Person
) -> None:
    await ada.deposit(40_000)
    items = [item(ada, ben.account_id, 100), item(ada, ben.account_id, REVIEWED), item(ada, ben.account_id, 100)]
    path = await sent(ada, items)
    found = await settled(ada, path)
    assert found["state"] == "completed"

    async def is_in_review() -> bool:
        return counted((await ada.get(path)).json()) == {"completed": 2, "in_review": 1}

    await until(is_in_review, "the second item is in review")
    assert await ben.balance() == 200
    reviewed = (await items_of(ada, path))[1]["transfer_id"]
    decision = {"ruling": "approve", "reason": "Known payee"}
    answer = await admin.post(f"/v1/admin/transfers/{reviewed}/decisions", decision)
    assert answer.status_code == 200, answer.text

    async def is_paid() -> bool:
        return counted((await ada.get(path)).json()) == {"completed": 3}

    await until(is_paid, "the reviewed item is paid")
    assert await ben.balance() == 200 + REVIEWED


@pytest.mark.parametrize(
    ("ruling", "state", "paid"), [("approve", "completed", REVIEWED + 100), ("reject", "refused", 0)]
)
async def test_a_held_atomic_batch_waits_for_a_decision(
    ada: Person, ben: Person, operator: Person, ruling: str, state: str, paid: int
) -> None:
    await ada.deposit(40_000)
    path = await sent(ada, [item(ada, ben.account_id, 100), item(ada, ben.account_id, REVIEWED)], "atomic")
    assert counted(await settled(ada, path, "held")) == {"pending": 2}
    assert await ben.balance() == 0
    listed = (await operator.get("/v1/admin/batches", state="held")).json()["items"]
    assert [(each["id"], each["owner_id"]) for each in listed] == [(path.rpartition("/")[2], ada.id)]
    decision = {"ruling": ruling, "reason": "Spoke to the customer"}
    staff_path = path.replace("/v1/", "/v1/admin/")
    assert (await operator.post(f"{staff_path}/decisions", decision)).status_code == 200
    assert (await settled(ada, path))["state"] == state
    assert await ben.balance() == paid
    assert (await operator.post(f"{staff_path}/decisions", decision)).json()["code"] == "batch_not_held"


async def test_a_cancelled_batch_posts_nothing_more(ada: Person, ben: Person, operator: Person) -> None:
    await ada.deposit(40_000)
    path = await sent(ada, [item(ada, ben.account_id, REVIEWED)], "atomic")
    await settled(ada, path, "held")
    cancelled = await ada.post(f"{path}/cancel", {})
    assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled")
    assert (await ada.post(f"{path}/cancel", {})).json()["state"] == "cancelled"
    assert [each["state"] for each in await items_of(ada, path)] == ["not_posted"]
    done = await sent(ada, [item(ada, ben.account_id, 1)])
    await settled(ada, done)
    assert (await ada.post(f"{done}/cancel", {})).json()["code"] == "batch_over"
    by_staff = await operator.post(f"{done.replace('/v1/', '/v1/admin/')}/cancel", {"reason": "Asked to"})
    assert by_staff.json()["code"] == "batch_over"


async def test_a_batch_is_seen_by_its_owner_and_by_staff_only(ada: Person, ben: Person, operator: Person) -> None:
    path = await sent(ada, [item(ada, ben.account_id, 1)])
    for hidden in (path, f"{path}/items"):
        assert (await ben.get(hidden)).json()["code"] == "batch_not_found"
    assert (await ben.post(f"{path}/cancel", {})).status_code == 404
    assert (await ben.get(PATH)).json()["items"] == []
    assert (await operator.get(path.replace("/v1/", "/v1/admin/"))).json()["owner_id"] == ada.id
    assert len((await operator.get(f"{path.replace('/v1/', '/v1/admin/')}/items")).json()["items"]) == 1
    await settled(ada, path)


async def test_staff_send_batches_from_their_own_accounts_only(ada: Person, ben: Person, operator: Person) -> None:
    for_ada = await operator.post(PATH, {"items": [item(ada, ben.account_id, 1)]})
    assert [each["code"] for each in for_ada.json()["errors"]] == ["account_not_found"]
    single = {name: value for name, value in item(ada, ben.account_id, 1).items() if name != "reference"}
    assert (await operator.post("/v1/transfers", single)).json()["code"] == "account_not_found"
    await operator.deposit(100)
    own = await sent(operator, [item(operator, ben.account_id, 100)])
    assert counted(await settled(operator, own)) == {"completed": 1}


async def test_a_frozen_account_fails_its_items_of_a_batch_and_no_others(
    ada: Person, ben: Person, operator: Person, book: Book
) -> None:
    await set_account_status(book.database, ben.account_id, AccountStatus.FROZEN)  # type: ignore[arg-type]
    items = [item(ada, ben.account_id, 10), item(ada, operator.account_id, 10)]
    found = await settled(ada, await sent(ada, items))
    assert counted(found) == {"completed": 1, "failed": 1}


async def test_the_events_of_a_batch_tell_how_it_began_and_ended(ada: Person, ben: Person, database: Database) -> None:
    path = await sent(ada, [item(ada, ben.account_id, 1), item(ada, new_account_id(), 1)])
    await settled(ada, path)
    async with database.connection() as connection:
        answered = await connection.fetch(
            "SELECT type, data #>> '{batch,completed}' AS completed, data #>> '{batch,failed}' AS failed, audience "
            "FROM outbox_events WHERE subject = $1 ORDER BY id",
            path.rpartition("/")[2],
        )
    assert [tuple(each)[:3] for each in answered] == [("batch.accepted", "0", "0"), ("batch.completed", "1", "1")]
    assert all(each["audience"] == [ada.id] for each in answered)


async def test_nobody_reads_the_long_batch_of_a_stranger(http: httpx.AsyncClient) -> None:
    answer = await http.post(PATH, content=b"[" * (MAX_BODY_BYTES + 1), headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")
