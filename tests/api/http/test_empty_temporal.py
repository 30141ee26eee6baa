"""Temporal comes back without its database: nobody has to register anything again."""

from pathlib import Path

import pytest
from temporalio.client import Client
from temporalio.service import RPCError

from database.connections import Database
from devenv.servers.temporal_binary import temporal_binary
from devenv.servers.temporal_server import TemporalServer
from settings import Settings
from tests.api.people import register, running_api
from tests.waiting import until
from workflows.sweeps.schedules import RECOVERY_SCHEDULE


@pytest.mark.system
async def test_an_empty_temporal_is_prepared_again_without_anyone(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    binary = await temporal_binary(settings.cache, print, settings.temporal_cli)
    server = TemporalServer(binary, log=tmp_path / "temporal.log")
    there = settings.model_copy(update={"temporal_address": server.address})
    try:
        await server.start()
        async with running_api(there, database, registers=True) as http:
            ada, ben = await register(http), await register(http)

            async def is_scheduled() -> bool:
                try:
                    client = await Client.connect(server.address)
                    await client.get_schedule_handle(RECOVERY_SCHEDULE).describe()
                except (RPCError, RuntimeError):
                    return False
                return True

            await until(is_scheduled, "the first registration")
            await ada.deposit(50_000)
            server.kill()
            await server.start()

            async def is_paid() -> bool:
                return bool((await ada.pay(ben, 100, "k", prefer="wait=10")).json().get("state") == "completed")

            await until(is_paid, "a transfer with search attributes")
            await until(is_scheduled, "the schedule of recovery")
            assert await ben.balance() == 100
    finally:
        await server.stop()
