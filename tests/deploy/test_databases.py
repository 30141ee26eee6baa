"""The roles that `databases.sql` makes, on a real server: who may do what to the books."""

import os
import re
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from database.connections import WORKER_ROLE, Database, LoginRefused
from database.migrations import migrate
from devenv.servers.postgres_server import PostgresServer
from ledger.ids import SYSTEM_CUSTOMER
from tests.waiting import until

pytestmark = pytest.mark.system

SCRIPT = Path(__file__).resolve().parents[2] / "deploy" / "postgres" / "databases.sql"
PASSWORDS = {
    "REMIT_OWNER_PASSWORD": "it's the owner's",
    "REMIT_SERVICE_PASSWORD": "service",
    "REMIT_WORKER_PASSWORD": "worker",
    "REMIT_OPERATOR_PASSWORD": "operator",
    "REMIT_AUDITOR_PASSWORD": "auditor",
    "TEMPORAL_DATABASE_PASSWORD": "temporal",
}


class Server:
    """A server of its own: roles belong to all databases of a server."""

    def __init__(self, url: str) -> None:
        self._at = urlsplit(url)

    def run_script(self, **passwords: str) -> None:
        environment = {
            "PATH": os.environ["PATH"],
            "PGHOST": self._at.hostname or "",
            "PGPORT": str(self._at.port),
            "PGUSER": self._at.username or "",
            "PGPASSWORD": self._at.password or "",
            "PGDATABASE": "postgres",
        }
        psql = shutil.which("psql")
        if psql is None:
            from devenv.servers.postgres_server import server_binaries  # noqa: PLC0415 - only where no psql is installed

            psql = str(server_binaries() / "psql")
        command = [psql, "--no-psqlrc", "--quiet", "--file", str(SCRIPT)]
        subprocess.run(command, env=environment | PASSWORDS | passwords, check=True, capture_output=True, timeout=30)

    async def connect(self, user: str, password: str, database: str) -> "asyncpg.Connection[asyncpg.Record]":
        return await asyncpg.connect(
            host=self._at.hostname, port=self._at.port, user=user, password=password, database=database
        )

    def url(self, user: str, password: str) -> str:
        return f"postgresql://{user}:{password}@{self._at.hostname}:{self._at.port}/remit"


@pytest.fixture(scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    postgres = PostgresServer(tmp_path_factory.mktemp("roles"))
    await postgres.start()
    try:
        # The embedded server begins with a database that the script is to make.
        connection = await asyncpg.connect(postgres.url.rpartition("/")[0] + "/postgres")
        await connection.execute("DROP DATABASE remit")
        await connection.close()
        found = Server(postgres.url)
        found.run_script()
        await migrate(found.url("remit_owner", "it%27s%20the%20owner%27s"))
        yield found
    finally:
        await postgres.stop()


async def test_the_script_may_be_repeated_and_brings_new_passwords(server: Server) -> None:
    server.run_script(TEMPORAL_DATABASE_PASSWORD="changed")
    connection = await server.connect("temporal", "changed", "temporal_visibility")
    assert await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0
    await connection.close()


async def test_migrations_run_without_a_superuser_and_again(server: Server) -> None:
    await migrate(server.url("remit_owner", "it%27s%20the%20owner%27s"))
    connection = await server.connect("remit_owner", PASSWORDS["REMIT_OWNER_PASSWORD"], "remit")
    assert (
        await connection.fetchval("SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user")
        is False
    )
    assert {
        row[0]
        for row in await connection.fetch("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'")
    } == {"remit_owner"}
    await connection.close()


async def test_the_api_works_as_the_role_that_may_not_edit_the_books(server: Server) -> None:
    async with Database(server.url("remit_service", "service"), connections=1) as database:
        await database.ping()
        async with database.transaction() as connection:
            assert await connection.fetchval("SELECT current_user") == "remit_app"
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute("DELETE FROM entries")


async def test_a_worker_logs_in_as_the_role_that_may_move_money(server: Server) -> None:
    async with Database(server.url("remit_worker", "worker"), connections=1, role=WORKER_ROLE) as database:
        await database.ping()
        async with database.transaction() as connection:
            assert await connection.fetchval("SELECT has_table_privilege('postings', 'INSERT')")
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute("DELETE FROM entries")


async def test_the_login_of_the_api_cannot_become_a_worker(server: Server) -> None:
    async with Database(server.url("remit_service", "service"), connections=1, role=WORKER_ROLE) as database:
        with pytest.raises(LoginRefused, match="remit_worker"):
            await database.ping()


async def test_an_auditor_logs_in_and_reads_the_books(server: Server) -> None:
    connection = await server.connect("remit_auditor", "auditor", "remit")
    for table in ("postings", "entries", "audits", "staff_actions", "current_totals"):
        assert await connection.fetchval(f"SELECT count(*) FROM {table}") == 0
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.fetch("SELECT email FROM customers")
    await connection.close()


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 1 FROM transfers",
        "SET ROLE remit_owner",
        "SET ROLE remit_worker",
        "DROP TABLE entries",
        "CREATE TABLE mine ()",
    ],
)
async def test_the_api_may_do_nothing_by_itself(server: Server, statement: str) -> None:
    connection = await server.connect("remit_service", "service", "remit")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute(statement)
    await connection.close()


async def test_a_role_without_login_cannot_be_logged_in_to(server: Server) -> None:
    with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError):
        await server.connect("remit_app", "", "remit")


@pytest.mark.parametrize(
    ("user", "variable", "database"),
    [
        ("remit_service", "REMIT_SERVICE_PASSWORD", "temporal"),
        ("remit_owner", "REMIT_OWNER_PASSWORD", "temporal_visibility"),
    ],
)
async def test_remit_may_not_look_into_temporals_databases(
    server: Server, user: str, variable: str, database: str
) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await server.connect(user, PASSWORDS[variable], database)


async def test_temporal_may_not_look_into_the_books(server: Server) -> None:
    server.run_script()
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await server.connect("temporal", PASSWORDS["TEMPORAL_DATABASE_PASSWORD"], "remit")


async def test_people_read_the_books_and_write_nothing(server: Server) -> None:
    connection = await server.connect("remit_operator", "operator", "remit")
    for table in (
        "accounts",
        "transfers",
        "postings",
        "entries",
        "staff_actions",
        "disputes",
        "reviews",
        "notifications",
    ):
        assert await connection.fetchval(f"SELECT count(*) FROM {table}") == 0
    (system,) = await connection.fetch("SELECT id, email, full_name, role FROM customers")
    assert system["id"] == SYSTEM_CUSTOMER
    await connection.execute("SET default_transaction_read_only = off")
    for statement in ("DELETE FROM sessions", "DELETE FROM notifications", "CREATE TABLE mine ()"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)
    await connection.close()


async def test_people_read_no_secret_of_a_customer(server: Server) -> None:
    connection = await server.connect("remit_operator", "operator", "remit")
    readable = await connection.fetch(
        "SELECT table_name, column_name FROM information_schema.column_privileges "
        "WHERE grantee IN ('remit_operator', 'PUBLIC') AND privilege_type = 'SELECT' AND table_schema = 'public'"
    )
    assert ("customers", "email") in {tuple(row) for row in readable}
    secret = re.compile("password|secret|document_number|token_hash")
    assert [tuple(row) for row in readable if secret.search(row["column_name"])] == []
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.fetch("SELECT password_hash FROM customers")
    await connection.close()


async def _is_closed(connection: "asyncpg.Connection[asyncpg.Record]") -> bool:
    return connection.is_closed()


async def test_people_see_what_the_service_does_and_may_end_its_session(server: Server) -> None:
    held = await server.connect("remit_service", "service", "remit")
    await held.execute("SET ROLE remit_app")
    await held.execute("BEGIN; LOCK TABLE transfers IN ACCESS SHARE MODE")
    connection = await server.connect("remit_operator", "operator", "remit")
    pid = held.get_server_pid()
    assert "LOCK TABLE" in await connection.fetchval("SELECT query FROM pg_stat_activity WHERE pid = $1", pid)
    assert await connection.fetchval("SELECT pg_terminate_backend($1)", pid)
    await until(lambda: _is_closed(held), "the session has ended")
    await connection.close()
