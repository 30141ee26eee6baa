"""Lists and figures have connections of their own."""

import asyncio

from database.connections import Database
from settings import Settings
from tests.api.people import register, running_api


async def test_many_lists_at_once_starve_nobodys_payment(settings: Settings, database: Database) -> None:
    assert settings.database_url is not None
    async with (
        Database(settings.database_url, connections=1) as reports,
        Database(settings.database_url, connections=2) as few,
        running_api(settings, few, reports=reports) as http,
    ):
        ada, ben = await register(http), await register(http, full_name="Ben Sow")
        await ada.deposit(1_000)
        async with reports.connection():  # as a list that takes long
            lists = [asyncio.create_task(ada.get("/v1/transfers")) for _ in range(20)]
            for _ in range(3):
                paid = await ada.pay(ben, 10)
                assert (paid.status_code, paid.json()["state"]) == (201, "completed")
            assert not any(each.done() for each in lists)
        assert {(await each).status_code for each in lists} == {200}
