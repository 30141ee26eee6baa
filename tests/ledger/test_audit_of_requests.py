"""The audit finds what was changed of batches, standing orders and statements behind the book's back."""

import pytest

from database.connections import Database
from ledger.postgres.audit import audit
from tests.connections import Connection
from tests.ledger.request_scene import request_scene
from tests.ledger.tampered_requests import TAMPERED_REQUESTS
from tests.ledger.test_audit import found_by
from tests.ledger.test_running_totals import settle
from tests.orders import FINGERPRINTS


@pytest.fixture
async def names(database: Database, owner: Connection) -> dict[str, str]:
    return await request_scene(database, owner)


async def test_every_change_of_a_batch_a_standing_order_or_a_statement_is_found_and_named(
    database: Database, owner: Connection, names: dict[str, str]
) -> None:
    assert (await audit(database, FINGERPRINTS)).clean
    found = {tampering.name: await found_by(owner, tampering, names) for tampering in TAMPERED_REQUESTS}
    assert found == {tampering.name: tampering.found for tampering in TAMPERED_REQUESTS}


async def test_an_audit_after_another_one_finds_what_was_changed_of_later_requests(
    database: Database, owner: Connection
) -> None:
    await request_scene(database, owner)
    await settle(owner, database)
    assert (await audit(database, FINGERPRINTS)).clean
    names = await request_scene(database, owner)
    assert (await audit(database, FINGERPRINTS)).since is not None
    for tampering in TAMPERED_REQUESTS:
        assert await found_by(owner, tampering, names, full=False) >= tampering.found, tampering.name
