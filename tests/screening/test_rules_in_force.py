"""What a process screens by, and when it learns of a change."""

import asyncio

import asyncpg
import pytest

from database.connections import WORKER_ROLE, Database
from screening.postgres import rules_in_force
from screening.postgres.rules_in_force import RulesInForce
from screening.rule_sets import default_rule_set, rule_set_in
from tests.connections import Connection

DEFAULT = default_rule_set(review_from_major=None, decline_from_major=None)
OTHER = rule_set_in([{"kind": "amount", "from_major": 5}])


async def listed(owner: Connection, number: int) -> None:
    """Put an account on a list, as the change of this number."""
    staff = f"cus_{'a' * 26}"
    await owner.execute(
        "INSERT INTO customers (id, email, password_hash, full_name) VALUES ($1, 'a@example.com', '-', 'A') "
        "ON CONFLICT DO NOTHING",
        staff,
    )
    await owner.execute(
        "INSERT INTO list_members (list, member_id, added_by, reason) VALUES ('blocked', $1, $2, 'x')",
        f"acc_{'a' * 25}{number}",
        staff,
    )
    await owner.execute("UPDATE screening_head SET changes = $1", number)


async def test_a_process_asks_for_changes_once_in_a_lease(
    database: Database, owner: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules_in_force, "LEASE_MILLISECONDS", 60_000)
    rules = RulesInForce(database, DEFAULT)
    before = await rules.now()
    await listed(owner, 2)
    assert await rules.now() is before
    assert list((await RulesInForce(database, DEFAULT).now()).lists) == [f"acc_{'a' * 25}2"]


async def test_nothing_is_screened_by_rules_that_are_older_than_a_lease(
    database: Database, owner: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules_in_force, "LEASE_MILLISECONDS", 0)
    rules = RulesInForce(database, DEFAULT)
    assert (await rules.now()).rule_set == DEFAULT
    await listed(owner, 2)
    await listed(owner, 3)
    assert len((await rules.now()).lists) == 2
    await owner.execute("ALTER TABLE screening_head RENAME TO away")
    with pytest.raises(asyncpg.UndefinedTableError):
        await rules.now()


async def test_a_holder_of_a_connection_learns_of_a_change_on_it_and_waits_for_no_other(
    database: Database, database_url: str, owner: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules_in_force, "LEASE_MILLISECONDS", 0)
    async with Database(database_url, connections=1, role=WORKER_ROLE) as narrow:
        rules = RulesInForce(narrow, DEFAULT)
        await rules.now()
        await listed(owner, 2)
        async with narrow.transaction() as connection, asyncio.timeout(5):
            assert len((await rules.now(connection)).lists) == 1


async def test_a_rule_set_is_recorded_though_the_transaction_that_asked_for_it_is_rolled_back(
    database: Database, owner: Connection
) -> None:
    rules = RulesInForce(database, OTHER)

    async def roll_back() -> None:
        async with database.transaction() as connection:
            await rules.now(connection)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await roll_back()
    assert await owner.fetchval("SELECT id FROM rule_sets") == OTHER.id


async def test_every_rule_set_in_force_can_be_found_by_its_id(database: Database, owner: Connection) -> None:
    for configured in (DEFAULT, OTHER, OTHER):
        await RulesInForce(database, configured, is_fixed=True).now()
    ids = [row["id"] for row in await owner.fetch("SELECT id FROM rule_sets ORDER BY recorded_at")]
    assert ids == [DEFAULT.id, OTHER.id]
