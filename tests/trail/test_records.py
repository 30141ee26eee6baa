"""Every state change leaves a record in its transaction, whoever makes it."""

import json
from typing import Any

import asyncpg
import pytest

from customers.postgres import Customers
from database.connections import Database
from database.trail.cause import CAUSE, Cause
from ledger.postgres.account_queue import AccountQueues
from ledger.postgres.book import Book
from ledger.transfers import Ending, State, Step
from staff.permissions import Action, Actor, Role
from staff.postgres.operators import Operators
from tests.connections import Connection
from tests.orders import FINGERPRINTS, completed, funded, holder, order, staff
from tests.trail.conftest import Scene


async def records(owner: Connection, subject: str) -> list[dict[str, Any]]:
    rows = await owner.fetch("SELECT * FROM audit_records WHERE subject = $1 ORDER BY id", subject)
    return [{**dict(row), **{name: json.loads(row[name] or "null") for name in ("before", "after")}} for row in rows]


async def test_each_state_of_a_transfer_is_a_record(scene: Scene, owner: Connection) -> None:
    found = await records(owner, scene.transfer_id)
    assert [(one["kind"], one["outcome"]) for one in found] == [
        ("transfer.initiated", "done"),
        ("transfer.debited", "done"),
        ("transfer.completed", "done"),
    ]
    assert found[0]["actor_id"] == scene.owner_id
    assert found[2]["before"] == {"state": "debited", "attempt": 1}
    assert found[2]["after"] == {"state": "completed", "attempt": 1, "kind": "transfer"}
    assert all(one["transfer_id"] == scene.transfer_id and one["workflow_id"] for one in found)


async def test_a_transfer_that_fails_is_a_refused_record_with_its_code(
    customers: Customers, book: Book, owner: Connection
) -> None:
    alice, bob = await funded(customers, book, 10), await holder(customers)
    wanted = order(alice.id, alice.account_id, bob.account_id, 30)
    CAUSE.set(Cause("req_of_the_order"))
    opened = await book.open_transfer(wanted)
    CAUSE.set(None)
    assert opened.objection is not None
    await book.end(Ending(Step(wanted.transfer_id, 1), opened.objection), State.FAILED)
    last = (await records(owner, wanted.transfer_id))[-1]
    assert (last["kind"], last["outcome"], last["code"]) == ("transfer.failed", "refused", "insufficient_funds")
    assert last["reason"]
    assert last["request_id"] == "req_of_the_order"


async def test_a_record_says_who_acts_by_which_request_and_from_where(
    scene: Scene, database: Database, owner: Connection
) -> None:
    admin = Actor(await staff(database), Role.ADMIN)
    operators = Operators(database, AccountQueues(), FINGERPRINTS)
    CAUSE.set(Cause("req_1", "192.0.2.7", admin.id))
    await operators.set_status(admin, Action.FREEZE_ACCOUNT, scene.account_id, "Card stolen")
    CAUSE.set(None)
    changed = (await records(owner, scene.account_id))[-2:]
    assert {one["kind"] for one in changed} == {"account.changed", f"staff.{Action.FREEZE_ACCOUNT}"}
    for one in changed:
        assert (one["actor_id"], one["request_id"], one["address"]) == (admin.id, "req_1", "192.0.2.7")
    (account,) = (one for one in changed if one["kind"] == "account.changed")
    assert (account["before"]["status"], account["after"]["status"]) == ("active", "frozen")


async def test_a_change_that_rolls_back_leaves_no_record(scene: Scene, owner: Connection) -> None:
    before = await records(owner, scene.account_id)
    trial = owner.transaction()
    await trial.start()
    await owner.execute("UPDATE accounts SET tier = 3 WHERE id = $1", scene.account_id)
    assert len(await records(owner, scene.account_id)) == len(before) + 1
    await trial.rollback()
    assert await records(owner, scene.account_id) == before


async def test_neither_the_owner_nor_the_application_can_change_a_record(scene: Scene, owner: Connection) -> None:
    partition = await owner.fetchval("SELECT tableoid::regclass::text FROM audit_records LIMIT 1")
    assert partition != "audit_records_default"
    for table in ("audit_records", partition, "trail_seals"):
        for statement in (f"UPDATE {table} SET key = key", f"DELETE FROM {table}", f"TRUNCATE {table} CASCADE"):
            with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.UndefinedColumnError)):
                await owner.execute(statement)
    await owner.execute("SET ROLE remit_app")
    for statement in ("INSERT INTO audit_records (kind, outcome, subject) VALUES ('x', 'done', 'y')",):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await owner.execute(statement)
    await owner.execute("RESET ROLE")


async def test_a_record_of_a_month_without_a_partition_goes_into_the_default_one(
    scene: Scene, owner: Connection
) -> None:
    await owner.execute(
        "INSERT INTO audit_records (kind, outcome, subject, recorded_at) "
        "VALUES ('x', 'done', 'y', now() - '9 months'::interval)"
    )
    assert await owner.fetchval("SELECT count(*) FROM audit_records_default") == 1


async def test_a_plain_transfer_writes_its_records_without_another_statement(
    customers: Customers, book: Book, database: Database, owner: Connection
) -> None:
    alice, bob = await funded(customers, book, 100), await holder(customers)
    said: list[str] = []

    async with database.connection() as connection:
        connection.add_query_logger(lambda record: said.append(record.query))
    await completed(book, order(alice.id, alice.account_id, bob.account_id, 1))
    assert [query for query in said if "audit" in query or "remit.cause" in query] == []
