"""`remit rebuild`: accounts from their entries, by the API."""

import pytest

from database.connections import Database
from staff.permissions import Role
from tests.api.people import PASSWORD, register
from tests.cli.conftest import Story
from tests.cli.remit import remit, started
from tests.orders import promoted

pytestmark = pytest.mark.system

FALSIFY = "UPDATE accounts SET balance_minor = balance_minor + 1 WHERE id = $1"


async def test_an_admin_rebuilds_an_account_and_all_accounts(story: Story) -> None:
    admin, ada = await register(story.http, full_name="Grace Ade"), await register(story.http)
    await ada.deposit(500)
    api = ("--api", str(story.http.base_url), "--reason", "ticket 4711")
    async with Database(story.database_url, connections=1) as database:
        await promoted(database, admin.id, Role.ADMIN)
        async with database.transaction() as connection:
            await connection.execute("SET LOCAL ROLE NONE")
            await connection.execute(FALSIFY, ada.account_id)
    status, printed, _ = await remit("rebuild", *api, "--account", ada.account_id, STAFF_TOKEN=admin.token)
    assert (status, await ada.balance()) == (0, 500)
    assert "1 accounts looked at, 1 rebuilt, 0 left as they are." in printed
    assert "balance" in printed
    command = await started("rebuild", *api, "--all", "--email", admin.email, "--password-stdin")
    output, _ = await command.communicate(f"{PASSWORD}\n".encode())
    assert (command.returncode, "0 rebuilt, 0 left as they are." in output.decode()) == (0, True)


async def test_a_rebuild_by_somebody_who_is_no_admin_is_refused(story: Story) -> None:
    assert story.payer is not None
    api = ("--api", str(story.http.base_url), "--reason", "ticket 4711")
    status, printed, said = await remit("rebuild", *api, "--all", STAFF_TOKEN=story.payer.token)
    assert (status, printed) == (2, "")
    assert said[-1].startswith("forbidden: ")
