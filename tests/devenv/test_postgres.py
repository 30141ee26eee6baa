"""Claims about the embedded PostgreSQL."""

import os
import socket
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from devenv.errors import StackError
from devenv.servers.postgres_server import PostgresServer


@pytest.fixture
async def postgres(tmp_path: Path) -> AsyncIterator[PostgresServer]:
    server = PostgresServer(tmp_path / "postgres")
    await server.start()
    yield server
    await server.stop()


async def fetch(url: str, query: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def test_postgres_survives_kill_9_and_keeps_what_was_committed(postgres: PostgresServer) -> None:
    url = postgres.url
    await fetch(url, "CREATE TABLE kept AS SELECT 42 AS answer")
    postgres.kill()
    # An unrelated process gets the pid of the dead server, as happens in containers.
    lock_file = postgres.cluster / "postmaster.pid"
    lock_file.write_text("\n".join([str(os.getpid()), *lock_file.read_text().splitlines()[1:]]) + "\n")

    await postgres.start()

    assert postgres.url == url
    assert await fetch(url, "SELECT answer FROM kept") == 42


@pytest.mark.system
async def test_postgres_is_durable_and_speaks_utf8(postgres: PostgresServer) -> None:
    assert await fetch(postgres.url, "SHOW fsync") == "on"
    assert await fetch(postgres.url, "SHOW server_encoding") == "UTF8"
    assert await fetch(postgres.url, "SHOW max_connections") == "200"
    assert await fetch(postgres.url, "SELECT datlocale FROM pg_database WHERE datname = 'remit'") == "C.UTF-8"
    assert await fetch(postgres.url, "SELECT upper('zürich')") == "ZÜRICH"


@pytest.mark.system
async def test_postgres_asks_for_its_password_and_listens_on_localhost_only(postgres: PostgresServer) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(postgres.url.replace("remit:", "remit:not-"))
    listening = [c.laddr[0] for c in psutil.Process(postgres.pid).net_connections() if c.status == psutil.CONN_LISTEN]
    assert listening == ["127.0.0.1"]
    assert stat.S_IMODE((postgres.folder / "server.json").stat().st_mode) == 0o600


@pytest.mark.system
async def test_a_port_that_was_taken_meanwhile_is_replaced(postgres: PostgresServer) -> None:
    before = postgres.url
    await postgres.stop()
    with socket.create_server(("127.0.0.1", int(before.rsplit(":", 1)[1].split("/")[0]))):
        await postgres.start()
        assert postgres.url != before
        assert await fetch(postgres.url, "SELECT 1") == 1


@pytest.mark.system
async def test_a_server_that_cannot_start_shows_the_end_of_its_log(postgres: PostgresServer) -> None:
    await postgres.stop()
    (postgres.cluster / "postgresql.conf").write_text("no_such_setting = 1\n")
    with pytest.raises(StackError, match="no_such_setting"):
        await postgres.start()


@pytest.mark.system
async def test_data_without_its_password_is_refused_with_a_way_out(postgres: PostgresServer) -> None:
    await postgres.stop()
    (postgres.folder / "server.json").unlink()
    with pytest.raises(StackError, match=r"put it back, or remove"):
        await postgres.start()
