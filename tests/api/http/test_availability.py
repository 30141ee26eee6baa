"""What the API says while PostgreSQL or Temporal is away, and that it consumes no key meanwhile."""

import asyncio
import secrets
from pathlib import Path

from api_services import compose_api
from database.connections import Database
from database.migrations import migrate
from devenv.processes.ports import free_port
from devenv.servers.postgres_server import PostgresServer
from devenv.servers.temporal_binary import temporal_binary
from devenv.servers.temporal_server import TemporalServer
from ledger.postgres.audit import audit
from settings import Settings
from tests.api.people import client_of, register, running_api
from tests.waiting import until
from workflows.search_attributes import SEARCH_ATTRIBUTE_TYPES


async def test_while_temporal_is_away_transfers_get_503_and_afterwards_the_same_key_works(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    server = TemporalServer(
        await temporal_binary(settings.cache, print, settings.temporal_cli),
        log=tmp_path / "temporal.log",
        database=tmp_path / "temporal.db",
        search_attributes=SEARCH_ATTRIBUTE_TYPES,
    )
    away = settings.model_copy(update={"temporal_address": server.address})
    await server.start()
    try:
        async with running_api(away, database) as http:
            ada, ben = await register(http), await register(http)
            await ada.deposit(50_000)
            server.kill()
            key = secrets.token_hex(16)
            answer = await ada.pay(ben, 100, key)
            assert (answer.status_code, answer.json()["code"]) == (503, "temporal_unavailable")
            assert int(answer.headers["Retry-After"]) > 0
            ready = await http.get("/ready")
            assert (ready.status_code, ready.json()["code"]) == (503, "temporal_unavailable")
            assert (await http.get("/health")).status_code == 200
            assert await ada.balance() == 50_000
            await server.start()

            async def is_ready() -> bool:
                return (await http.get("/ready")).status_code == 200

            await until(is_ready, "the API is ready again")
            again = await ada.pay(ben, 100, key, prefer="wait=30")
            assert again.json()["state"] == "completed"
            assert await ben.balance() == 100
    finally:
        await server.stop()


async def test_the_api_starts_without_temporal_and_says_what_is_missing(settings: Settings, database: Database) -> None:
    lonely = settings.model_copy(update={"temporal_address": f"127.0.0.1:{free_port()}"})
    async with client_of(lonely, compose_api(lonely, database, with_worker=False)) as http:
        assert (await http.get("/health")).status_code == 200
        ready = await http.get("/ready")
        assert (ready.status_code, ready.json()["code"]) == (503, "temporal_unavailable")


async def test_while_postgresql_is_away_requests_get_503_and_transfers_in_flight_finish_afterwards(
    settings: Settings, temporal: TemporalServer, open_folder: Path
) -> None:
    server = PostgresServer(open_folder / "away")
    await server.start()
    try:
        await migrate(server.url)
        away = settings.model_copy(update={"database_url": server.url})
        async with Database(server.url, connections=10) as database, running_api(away, database) as http:
            ada, ben = await register(http), await register(http)
            await ada.deposit(50_000)
            sending = [asyncio.create_task(ada.pay(ben, 10, str(n))) for n in range(20)]
            server.kill()
            answers = [(await task).status_code for task in sending]
            assert set(answers) <= {201, 202, 503}
            down = await ada.pay(ben, 10, "20")
            assert (down.status_code, down.json()["code"]) == (503, "database_unavailable")
            assert down.headers["Retry-After"]
            assert (await http.get("/ready")).json()["code"] == "database_unavailable"
            await server.start()

            async def is_ready() -> bool:
                return (await http.get("/ready")).status_code == 200

            await until(is_ready, "the API is ready again")
            for n in range(21):
                answer = await ada.pay(ben, 10, str(n), prefer="wait=30")
                assert answer.json()["state"] == "completed", answer.text
            assert await ben.balance() == 210
            assert (await audit(database)).clean
    finally:
        await server.stop()
