"""`remit projections`: how far they are, and a rebuild by the API."""

import pytest

from database.connections import Database
from staff.permissions import Role
from tests.api.people import register
from tests.cli.conftest import Story
from tests.cli.remit import remit
from tests.orders import promoted

pytestmark = pytest.mark.system


async def test_an_admin_rebuilds_a_projection_and_sees_how_far_all_projections_are(story: Story) -> None:
    admin = await register(story.http, full_name="Grace Ade")
    async with Database(story.database_url, connections=1) as database:
        await promoted(database, admin.id, Role.ADMIN)
    arguments = ("--reason", "ticket 4711", "--api", str(story.http.base_url))
    status, printed, _ = await remit("projections", "rebuild", "transfer_status", *arguments, STAFF_TOKEN=admin.token)
    assert (status, printed.startswith("transfer_status is rebuilt: generation 2 is shown")) == (0, True)
    status, printed, _ = await remit("projections", "list", REMIT_DATABASE_URL=story.database_url)
    assert status == 0
    (line,) = (line for line in printed.splitlines() if "transfer_status" in line)
    assert line.split("│")[2].strip() == "2"
