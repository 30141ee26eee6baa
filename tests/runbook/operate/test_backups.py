"""The page on backups: the books are restored beside a Temporal that is empty, newer or older."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import asyncpg
import httpx
import pytest
from temporalio.client import Client, WorkflowExecutionStatus

from cli.migrate import prepare
from devenv.processes.ports import free_port
from devenv.servers.postgres_server import PostgresServer
from devenv.stack import Stack
from ledger.ids import TransferId
from ledger.workflow_ids import recovery_workflow_id
from settings import Settings
from tests.api.people import Person, in_review, reaches, register, sent
from tests.deploy.test_databases import PASSWORDS, Server
from tests.runbook.commands import Runbook
from tests.runbook.installation import REVIEW_FROM, Installation, client, is_ready, remit, running_installation
from tests.runbook.row_locks import account_held
from tests.waiting import until
from workflows.search_attributes import SEARCH_ATTRIBUTE_TYPES

FUNDS, AMOUNT, REVIEWED = 99_00, 10_00, REVIEW_FROM * 100
DESCRIBE = "temporal schedule describe --schedule-id recovery                                           # says whether it is paused"

# Does what `docker compose exec -T postgres` does, for a PostgreSQL on this machine.
DOCKER = """#!/bin/sh
test "$1 $2 $3 $4" = "compose exec -T postgres" && shift 4 && exec "$@"
"""


class Books:
    """A server with the roles and databases of the compose file."""

    def __init__(self, postgres: PostgresServer) -> None:
        self.postgres = postgres
        self._server = Server(postgres.url)
        self.owner_url = self._server.url("remit_owner", quote(PASSWORDS["REMIT_OWNER_PASSWORD"]))
        self._service_url = self._server.url("remit_service", PASSWORDS["REMIT_SERVICE_PASSWORD"])
        self._worker_url = self._server.url("remit_worker", PASSWORDS["REMIT_WORKER_PASSWORD"])

    def serve(self, installation: Installation) -> None:
        """Let the installation's next processes use these books, each by its login."""
        installation.database_url = self._service_url
        installation.worker_database_url = self._worker_url

    async def make(self) -> None:
        """Create the database `remit` anew, empty."""
        connection = await asyncpg.connect(self.postgres.url.rpartition("/")[0] + "/postgres")
        await connection.execute("DROP DATABASE IF EXISTS remit WITH (FORCE)")
        await connection.close()
        self._server.run_script()

    async def dump(self, installation: Installation) -> None:
        """Dump the books to `remit.dump` by the command for the compose file."""
        await Runbook(await self._inside(installation)).run(
            "docker compose exec -T postgres pg_dump -U postgres --format=custom remit > remit.dump",
            {"remit.dump": str(installation.folder / "remit.dump")},
        )

    async def restore(self, installation: Installation) -> str:
        """Restore as the owner of the books, by the command for any machine."""
        return await installation.runbook(REMIT_DATABASE_URL=self.owner_url).run(
            'pg_restore --exit-on-error --dbname "$REMIT_DATABASE_URL" remit.dump && remit verify',
            {"remit.dump": str(installation.folder / "remit.dump")},
        )

    async def restore_inside(self, installation: Installation) -> None:
        """Restore as the superuser, by the command for the compose file."""
        await Runbook(await self._inside(installation)).run(
            "docker compose exec -T postgres pg_restore -U postgres --exit-on-error --dbname remit < remit.dump",
            {"remit.dump": str(installation.folder / "remit.dump")},
        )

    async def _inside(self, installation: Installation) -> dict[str, str]:
        tools = installation.folder / "tools"
        tools.mkdir(exist_ok=True)
        docker = tools / "docker"
        docker.write_text(DOCKER)
        docker.chmod(0o755)
        environment = installation.environment(**await self._superuser())
        return environment | {"PATH": os.pathsep.join((str(tools), environment["PATH"]))}

    async def _superuser(self) -> dict[str, str]:
        """The superuser `postgres`, with the name that the image gives it."""
        connection = await asyncpg.connect(self.postgres.url.rpartition("/")[0] + "/postgres")
        if not await connection.fetchval("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = 'postgres')"):
            await connection.execute("CREATE ROLE postgres SUPERUSER LOGIN PASSWORD 'postgres'")
        await connection.close()
        host, _, port = self.postgres.url.rpartition("/")[0].rpartition("@")[2].partition(":")
        return {"PGHOST": host, "PGPORT": port, "PGPASSWORD": "postgres"}


@pytest.fixture(scope="module")
async def installation(open_folder: Path) -> AsyncIterator[Installation]:
    async with running_installation(open_folder / "backups") as running:
        yield running


@pytest.fixture
async def books(installation: Installation) -> Books:
    """Empty books, which the installation's processes use, beside an empty Temporal."""
    await start_empty(installation)
    books = Books(installation.postgres)
    await books.make()
    await remit(installation.environment(REMIT_DATABASE_URL=books.owner_url), "migrate")
    books.serve(installation)
    return books


@pytest.fixture
async def http(installation: Installation, books: Books) -> AsyncIterator[httpx.AsyncClient]:
    await installation.start_worker()
    await installation.start_api()
    async with client(installation) as http:
        yield http
    await installation.stop_processes()


@pytest.fixture
async def payer(http: httpx.AsyncClient) -> Person:
    person = await register(http, full_name="Ada Obi")
    for _ in range(2):
        await person.deposit(FUNDS)
    return person


@pytest.fixture
async def payee(http: httpx.AsyncClient) -> Person:
    return await register(http, full_name="Ben Ola")


async def restarted(installation: Installation, http: httpx.AsyncClient) -> None:
    """Start the workers, then the API, as the page says."""
    await installation.start_worker()
    await installation.start_api()
    await is_ready(http)


async def start_empty(installation: Installation) -> None:
    await installation.temporal.stop()
    for file in files(installation):
        file.unlink()
    await installation.temporal.start()


async def pause_recovery(installation: Installation) -> None:
    """Pause recovery and wait for its present run: a run that loses its worker delays the next for a minute."""
    await installation.runbook().run(
        "temporal schedule toggle   --schedule-id recovery --pause   --reason 'ticket 4711'"
    )

    async def none_runs() -> bool:
        return "RunningWorkflows  []" in await installation.runbook().run(DESCRIBE)

    await until(none_runs, "the last sweep ends")


def files(installation: Installation) -> list[Path]:
    return list(installation.folder.glob(f"{installation.temporal_file.name}*"))


async def test_books_that_were_restored_go_on_with_an_empty_temporal(
    installation: Installation, books: Books, http: httpx.AsyncClient, payer: Person, payee: Person, open_folder: Path
) -> None:
    reviewed = await in_review(payer, payee, REVIEWED)
    async with account_held(installation.postgres.url, payee.account_id):
        debited = await sent(payer, payee, AMOUNT, "debited")
        for worker in installation.alive("worker"):
            await worker.stop()
        accepted = (await payer.pay(payee, AMOUNT, prefer="wait=0")).json()
        assert accepted["state"] == "initiated"
        await books.dump(installation)
    await installation.stop_processes()

    elsewhere = PostgresServer(open_folder / "restored")
    await elsewhere.start()
    try:
        restored = Books(elsewhere)
        await restored.make()
        assert "Clean: every invariant holds." in await restored.restore(installation)
        await start_empty(installation)
        await remit(installation.environment(REMIT_DATABASE_URL=restored.owner_url), "migrate")
        restored.serve(installation)
        await restarted(installation, http)
        for transfer_id, state in (
            (debited["id"], "completed"),
            (reviewed, "failed"),
            (accepted["id"], "failed"),
        ):
            await reaches(payer, transfer_id, state)
        assert "Paused            false" in await installation.runbook().run(DESCRIBE)
        listed = await installation.runbook().run(
            """temporal workflow list --query "WorkflowId STARTS_WITH 'recover/'\""""
        )
        assert recovery_workflow_id(TransferId(debited["id"]), 1) in listed
        assert (await payer.balance(), await payee.balance()) == (2 * FUNDS - AMOUNT, AMOUNT)
        assert "Clean" in await remit(installation.environment(REMIT_DATABASE_URL=restored.owner_url), "verify")
    finally:
        await installation.stop_processes()
        await elsewhere.stop()


async def test_transfers_after_the_restored_point_are_gone_and_a_repeat_of_their_key_is_carried_out(
    installation: Installation, books: Books, http: httpx.AsyncClient, payer: Person, payee: Person
) -> None:
    await books.dump(installation)
    assert (await payer.pay(payee, AMOUNT, "late")).json()["state"] == "completed"
    await pause_recovery(installation)
    await installation.stop_processes()
    await installation.temporal.stop()
    await books.make()
    await books.restore_inside(installation)
    assert "Clean" in await remit(installation.environment(REMIT_DATABASE_URL=books.owner_url), "verify")
    await installation.temporal.start()
    await remit(installation.environment(REMIT_DATABASE_URL=books.owner_url), "migrate")
    await restarted(installation, http)
    assert (await payer.balance(), await payee.balance()) == (2 * FUNDS, 0)
    again = (await payer.pay(payee, AMOUNT, "late", prefer="wait=1")).json()
    await reaches(payer, again["id"], "completed")
    assert "Paused            true" in await installation.runbook().run(DESCRIBE)
    await installation.runbook().run("temporal schedule toggle   --schedule-id recovery --unpause --reason 'restored'")
    assert (await payer.balance(), await payee.balance()) == (2 * FUNDS - AMOUNT, AMOUNT)


async def test_workflows_that_are_older_than_the_books_continue_from_the_ledgers_state(
    installation: Installation, books: Books, http: httpx.AsyncClient, payer: Person, payee: Person
) -> None:
    kept = installation.folder / "kept"
    kept.mkdir()
    async with account_held(installation.postgres.url, payee.account_id):
        transfer = await sent(payer, payee, AMOUNT, "debited")
        await installation.temporal.stop()
        for file in files(installation):
            shutil.copy(file, kept)
        await installation.temporal.start()
    await reaches(payer, transfer["id"], "completed")
    await installation.stop_processes()
    await installation.temporal.stop()
    for file in files(installation):
        file.unlink()
    for file in kept.iterdir():
        shutil.copy(file, installation.folder)
    await installation.temporal.start()
    temporal = await Client.connect(installation.temporal.address)
    handle = temporal.get_workflow_handle(transfer["workflow_id"])
    assert (await handle.describe()).status is WorkflowExecutionStatus.RUNNING
    await restarted(installation, http)
    assert (await handle.result())["state"] == "completed"
    await reaches(payer, transfer["id"], "completed")
    assert (await payer.balance(), await payee.balance()) == (2 * FUNDS - AMOUNT, AMOUNT)


@asynccontextmanager
async def embedded(home: Path) -> AsyncIterator[httpx.AsyncClient]:
    ports = {name: free_port() for name in ("api_port", "temporal_port", "temporal_ui_port")}
    settings = Settings.model_validate({"home": home, "sandbox_rails": True, **ports})
    stack = Stack(settings, prepare, search_attributes=SEARCH_ATTRIBUTE_TYPES)
    async with stack.running() as running, httpx.AsyncClient(base_url=running.api_url, trust_env=False) as http:
        yield http


async def test_the_embedded_stack_continues_from_a_copy_of_its_folder(open_folder: Path) -> None:
    first, copy = open_folder / "first", open_folder / "copy"
    async with embedded(first) as http:
        ada, ben = await register(http, full_name="Ada Obi"), await register(http, full_name="Ben Ola")
        await ada.deposit(FUNDS)
    copying = await asyncio.create_subprocess_exec("cp", "-a", str(first), str(copy))
    assert await copying.wait() == 0
    async with embedded(copy) as http:
        ada, ben = replace(ada, http=http), replace(ben, http=http)
        assert (await ada.pay(ben, AMOUNT)).json()["state"] == "completed"
        assert (await ada.balance(), await ben.balance()) == (FUNDS - AMOUNT, AMOUNT)
