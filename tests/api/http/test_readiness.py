"""`/ready`: what it tells, and what it costs however many ask."""

import asyncio
import os
import secrets
from collections.abc import Iterator

import httpx
import psutil
import pytest

from api.http import readiness
from database.connections import Database
from devenv.servers.postgres_server import PostgresServer
from settings import Settings
from tests.api.people import running_api
from tests.connections import Connection
from tests.full_disks import SmallDisk, small_disk
from tests.silent_network import network_to
from tests.waiting import until


async def state_of(http: httpx.AsyncClient) -> str:
    answer = await http.get("/ready")
    return "ready" if answer.status_code == 200 else str(answer.json()["code"])


async def test_however_many_ask_both_servers_are_asked_once(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    probes = 0
    find = readiness.Readiness._find_problem  # noqa: SLF001 - to count it

    async def counted(asked: readiness.Readiness) -> tuple[str, str | None] | None:
        nonlocal probes
        probes += 1
        return await find(asked)

    monkeypatch.setattr(readiness, "KEPT_SECONDS", 60)
    monkeypatch.setattr(readiness.Readiness, "_find_problem", counted)
    assert set(await asyncio.gather(*(state_of(http) for _ in range(200)))) == {"ready"}
    assert probes == 1


async def test_a_connection_that_temporal_closes_is_no_outage(
    settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Temporal does so with each connection every five minutes."""
    monkeypatch.setattr(readiness, "KEPT_SECONDS", 0)
    assert settings.temporal_address is not None
    async with network_to(int(settings.temporal_address.rpartition(":")[2])) as network:
        there = settings.model_copy(update={"temporal_address": network.address})
        async with running_api(there, database, worker=False) as http:
            for _ in range(20):
                network.close_connections()
                assert await state_of(http) == "ready"


@pytest.fixture
def disk(postgres: PostgresServer) -> Iterator[SmallDisk]:
    """A disk that PostgreSQL may write to."""
    with small_disk(postgres.folder.parent / f"small-{secrets.token_hex(4)}") as disk:
        os.chown(disk.path, psutil.Process(postgres.pid).uids().real, -1)
        yield disk


async def test_a_full_disk_of_postgresql_is_told(
    settings: Settings, database_url: str, disk: SmallDisk, owner: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "KEPT_SECONDS", 0)
    monkeypatch.setattr(readiness, "SPACE_KEPT_SECONDS", 0)
    space, name = f"space_{secrets.token_hex(4)}", database_url.rpartition("/")[2]
    await owner.execute(f"CREATE TABLESPACE {space} LOCATION '{disk.path}'")
    try:
        await owner.execute(f"GRANT CREATE ON TABLESPACE {space} TO remit_app")
        await owner.execute(f"ALTER DATABASE {name} SET temp_tablespaces = '{space}'")
        async with Database(database_url, connections=2) as database, running_api(settings, database) as http:
            assert await state_of(http) == "ready"
            disk.fill()
            assert await state_of(http) == "disk_full"
            assert (await http.get("/health")).status_code == 200
            disk.empty()

            async def is_ready() -> bool:
                return await state_of(http) == "ready"

            await until(is_ready, "there is space again")
    finally:
        await owner.execute(f"ALTER DATABASE {name} RESET ALL")
        await owner.execute(f"DROP TABLESPACE {space}")
