"""The audit finds every way of changing the books behind the ledger's back, and names what does not hold and where.

Each tampering is done by a superuser with triggers and foreign keys switched off: what the database refuses to
everybody else is in `test_append_only.py`.
"""

import re

import pytest

from database.connections import Database
from ledger.postgres.audit import Broken, Totals, audit, audit_on
from ledger.postgres.proof.sections import EVERY_SECTION
from tests.connections import Connection
from tests.ledger.book_changes import Tampering
from tests.ledger.scene import scene
from tests.ledger.tampered_requests import TAMPERED_REQUESTS
from tests.ledger.tamperings import TAMPERINGS, UNSEEN
from tests.ledger.test_running_totals import settle


@pytest.fixture
async def names(database: Database, owner: Connection) -> dict[str, str]:
    return await scene(database, owner)


async def found_by(
    connection: Connection, tampering: Tampering, names: dict[str, str], *, full: bool = True
) -> set[str]:
    """What an audit says to these books. They are whole again afterwards."""
    trial = connection.transaction()
    await trial.start()
    try:
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute(tampering.sql.format(**names))
        found = await audit_on(connection, full=full)  # type: ignore[arg-type]
        return {f"{one.invariant} {_named(one.subject, names)}" for one in found.broken}
    finally:
        await trial.rollback()


def _named(subject: str, names: dict[str, str]) -> str:
    """The subject in names of the scene; a posting is `transfer/attempt/leg`."""
    for name, id_ in names.items():
        body = id_.partition("_")[2]
        subject = re.sub(f"pst_{body}_(\\d)_", f"{name}/\\1/", subject).replace(id_, name)
    return subject


async def test_every_tampering_is_found_and_named(owner: Connection, names: dict[str, str]) -> None:
    found = {tampering.name: await found_by(owner, tampering, names) for tampering in TAMPERINGS}
    assert found == {tampering.name: tampering.found for tampering in TAMPERINGS}


async def test_an_audit_after_another_one_finds_every_tampering_with_what_came_later(
    database: Database, owner: Connection
) -> None:
    await scene(database, owner)
    await settle(owner, database)
    assert (await audit(database)).clean
    later = await scene(database, owner)
    assert await owner.fetchval("SELECT count(*) FROM audited_heads") > 0
    for tampering in TAMPERINGS:
        found = await found_by(owner, tampering, later, full=False)
        # More, where a posting was moved to a time that is counted already.
        assert found >= tampering.found, tampering.name


@pytest.mark.parametrize("tampering", UNSEEN, ids=lambda tampering: tampering.name)
async def test_a_change_that_no_hash_covers_is_not_found(
    owner: Connection, names: dict[str, str], tampering: Tampering
) -> None:
    assert await found_by(owner, tampering, names) == set()


def test_every_invariant_is_broken_by_a_tampering() -> None:
    claims = {claim for section in EVERY_SECTION for claim in re.findall(r"SELECT '(\w+)' AS|SELECT '(\w+)',", section)}
    named = {first or second for first, second in claims} - {"completed"}
    in_tests_of_their_own = {"account_snapshot", "audited_head", "running_totals"}
    assert named == in_tests_of_their_own | {
        line.partition(" ")[0] for tampering in (*TAMPERINGS, *TAMPERED_REQUESTS) for line in tampering.found
    }


@pytest.mark.breaks_the_books
async def test_the_audit_tells_what_was_found_and_expected(
    owner: Connection, database: Database, names: dict[str, str]
) -> None:
    await owner.execute("UPDATE accounts SET balance_minor = balance_minor + 5 WHERE id = $1", names["dora"])
    found = await audit(database)
    assert not found.clean
    assert found.broken == [
        Broken("balance_is_fold", names["dora"], "balance 5, version 0; its entries end at balance 0, version 0"),
        Broken("zero_sum", "USD", "customers 9305 + clearing 1000 + world -10300 must be 0"),
    ]


async def test_the_totals_of_clean_books_add_up(database: Database, names: dict[str, str]) -> None:
    found = await audit(database)
    assert found.clean
    assert found.totals == [Totals("USD", 7, 16, 9_300, 1_000, -10_300)]
    assert found.transfers_by_state == {"completed": 9, "compensated": 1, "debited": 1, "failed": 1, "initiated": 1}


async def test_empty_books_are_clean(database: Database) -> None:
    found = await audit(database)
    assert found.clean
    assert (found.totals, found.transfers_by_state) == ([], {})
