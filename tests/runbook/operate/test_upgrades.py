"""The page on upgrades: real processes start and stop, and every transfer ends correctly."""

import asyncio
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import asyncpg
import httpx
import pytest
from temporalio.client import Client

from cli.migrate import prepare
from database.connections import Database
from devenv.processes.ports import LOCALHOST, free_port
from devenv.processes.process import Process
from devenv.servers.temporal_binary import temporal_binary
from devenv.servers.temporal_server import TemporalServer
from devenv.stack import Running, Stack
from ledger.ids import AccountId, CustomerId
from ledger.postgres.audit import audit
from ledger.postgres.book import Book
from ledger.recovery import Sweep
from ledger.transfers import State
from ledger.workflow_ids import transfer_workflow_id
from serve import HTTP_STOP_SECONDS
from settings import Settings
from staff.postgres.reversal_record import record_reversal
from tests.api.people import Person, reaches, register
from tests.orders import FINGERPRINT_KEY, FINGERPRINTS, deposited, staff
from tests.runbook.commands import STOP_SECONDS, Runbook
from tests.runbook.conftest import terminal
from tests.runbook.fleet import (
    Fleet,
    Sent,
    completed,
    drained,
    ends_on,
    fails_its_tasks,
    in_transit,
    is_driven_on,
    leave_versions,
    move_to_1,
    one_left_on_2,
    other_release,
    recovered,
    reviewed,
    says,
    sent,
    shows,
    still_runs,
    waits_for_a_worker,
)
from tests.runbook.row_locks import account_held
from tests.waiting import until
from tests.workflows.sagas import builds
from workflows.search_attributes import SEARCH_ATTRIBUTE_TYPES

# Amounts in minor units: from the first on one person reviews, from the second on two.
REVIEWED, FOUR_EYES = 100_00, 200_00
FUNDS, SMALL = 1_000_00, 1_00
API_SECRET = secrets.token_hex(32)
# Temporal's defaults are minutes.
DRAINS_SOON = {
    "matching.wv.VersionDrainageStatusVisibilityGracePeriod": '"1s"',
    "matching.wv.VersionDrainageStatusRefreshInterval": '"1s"',
}
WAITS_FOR_A_ROW = """
    SELECT count(*) FROM pg_stat_activity
    WHERE application_name = 'remit-worker' AND wait_event_type = 'Lock'
"""
TRANSFERS_THAT_RUN = (
    """temporal workflow count --query "ExecutionStatus='Running' AND WorkflowType='TransferWorkflow'\""""
)


@pytest.fixture(scope="session")
def home(open_folder: Path) -> Path:
    return open_folder / "versions"


@pytest.fixture(scope="session")
async def server(home: Path) -> AsyncIterator[str]:
    """The address of a Temporal whose versions drain within seconds."""
    binary = await temporal_binary(Settings().cache, print, Settings().temporal_cli)
    home.mkdir(mode=0o711)
    temporal = TemporalServer(binary, log=home / "temporal.log", search_attributes=SEARCH_ATTRIBUTE_TYPES)
    child = temporal.child()
    drains = [part for name, value in DRAINS_SOON.items() for part in ("--dynamic-config-value", f"{name}={value}")]
    process = await Process.start(replace(child, argv=[*child.argv, *drains]))
    try:
        yield temporal.address
    finally:
        await process.stop()


@pytest.fixture(scope="session")
async def stack(home: Path, server: str) -> AsyncIterator[Running]:
    """An API process without a worker: workers are processes of their own."""
    settings = Settings.model_validate(
        {
            "home": home,
            "api_port": free_port(),
            "temporal_address": server,
            "jwt_secret": API_SECRET,
            "fingerprint_keys": FINGERPRINT_KEY,
            "recovery_interval_seconds": 3600,
        }
    )
    api = (sys.executable, "-m", "cli", "api")
    async with Stack(settings, prepare, api_argv=api, say=print).running() as running:
        yield running


@pytest.fixture(scope="session")
async def environment(stack: Running, home: Path) -> Mapping[str, str]:
    return {
        **await terminal(stack, home),
        "REMIT_JWT_SECRET": API_SECRET,
        "REMIT_REVIEW_FROM_MAJOR": str(REVIEWED // 100),
        "REMIT_FOUR_EYES_FROM_MAJOR": str(FOUR_EYES // 100),
        "REMIT_STUCK_AFTER_SECONDS": "3",
        "REMIT_RECOVERY_GRACE_SECONDS": "0",
        "REMIT_RECOVERY_INTERVAL_SECONDS": "3600",
    }


@pytest.fixture
async def payer(http: httpx.AsyncClient, database: Database) -> Person:
    """A customer with `FUNDS`, deposited without a worker."""
    person = await register(http, full_name="Ada Obi")
    book = Book(database, FINGERPRINTS, record_reversal)
    await deposited(book, CustomerId(person.id), AccountId(person.account_id), FUNDS)
    return person


@pytest.fixture
async def fleet(
    stack: Running, environment: Mapping[str, str], database: Database, tmp_path: Path
) -> AsyncIterator[Fleet]:
    """No worker runs, and no version is current. Afterwards the books are clean."""
    client = await Client.connect(stack.temporal_address)
    fleet = Fleet(Runbook(environment), client, await staff(database), tmp_path)
    try:
        yield fleet
        found = await audit(database, FINGERPRINTS)
        assert found.clean, found.broken
    finally:
        if fleet.has_versions:
            await leave_versions(fleet)
        await asyncio.gather(*(process.stop() for process in fleet.processes))


async def a_step_waits(stack: Running) -> None:
    """Wait until a worker's step waits for the row that the test has locked."""

    async def waits() -> bool:
        connection = await asyncpg.connect(stack.database_url)
        try:
            return bool(await connection.fetchval(WAITS_FOR_A_ROW))
        finally:
            await connection.close()

    await until(waits, "a step waits for the row")


@asynccontextmanager
async def api_of(fleet: Fleet, person: Person, line: str, **variables: str) -> AsyncIterator[tuple[Process, Person]]:
    """An API process that this line starts, and the person as its client."""
    port = str(free_port())
    process = await fleet.start(line, says="api starts", variables={"REMIT_API_PORT": port, **variables})
    async with httpx.AsyncClient(base_url=f"http://{LOCALHOST}:{port}", timeout=60, trust_env=False) as http:

        async def ready() -> bool:
            try:
                return (await http.get("/ready")).status_code == 200
            except httpx.TransportError:
                return False

        await until(ready, "the API is ready")
        yield process, replace(person, http=http)


@asynccontextmanager
async def messages_held(stack: Running) -> AsyncIterator[None]:
    """Nothing can write a message until the block ends."""
    connection = await asyncpg.connect(stack.database_url)
    try:
        async with connection.transaction():
            await connection.execute("LOCK TABLE messages IN SHARE MODE")
            yield
    finally:
        await connection.close()


def columns(printed: str, title: str = "") -> str:
    """The column heads of the table below the title."""
    table = printed[printed.index(title) + len(title) :]
    return " ".join(table.strip().splitlines()[0].split())


async def test_a_version_is_rolled_out_and_the_one_before_drains(fleet: Fleet, payer: Person, payee: Person) -> None:
    first = await fleet.worker(1)
    await fleet.make_current(1)
    assert "Version not found in deployment" in await fleet.run(
        "temporal worker deployment set-current-version --deployment-name remit --build-id 2 --yes", exits=1
    )
    held_on_1 = await reviewed(payer, payee, REVIEWED)

    second = await fleet.worker(2)
    said = fleet.log(second)
    assert "new transfers start here once this version is current command='temporal worker deployment" in said
    assert "--build-id 2'" in said
    assert "worker runs                    build_id=2 task_queue=transfers" in said
    await ends_on(fleet, await sent(payer, payee), 1)
    pollers = await fleet.run("temporal task-queue describe --task-queue transfers --select-build-id remit:2")
    assert columns(pollers, "Pollers:") == "BuildID TaskQueueType Identity LastAccessTime RatePerSecond"

    await fleet.make_current(2)
    await ends_on(fleet, await sent(payer, payee), 2)
    await says(
        fleet,
        """temporal workflow count --query "TemporalWorkerDeploymentVersion='remit:1' AND ExecutionStatus='Running'\"""",
        "Total: 1\n",
    )
    left = await fleet.run(
        """temporal workflow list  --query "TemporalWorkerDeploymentVersion='remit:1' AND ExecutionStatus='Running'\""""
    )
    assert columns(left) == "Status WorkflowId Type StartTime"
    assert f"Running {held_on_1.workflow_id} TransferWorkflow" in " ".join(left.split())
    described = await fleet.run("temporal worker deployment describe --name remit")
    assert columns(described, "Version Summaries:") == "DeploymentName BuildID DrainageStatus CreateTime"
    described = " ".join(described.split())
    assert "CurrentVersionDeploymentName remit CurrentVersionBuildID 2 " in described
    assert " remit 2 unspecified " in described
    assert " remit 1 draining " in described

    await fleet.approve(held_on_1)
    await ends_on(fleet, held_on_1, 1)
    await says(
        fleet,
        """temporal workflow count --query "TemporalWorkerDeploymentVersion='remit:1' AND ExecutionStatus='Running'\"""",
        "Total: 0\n",
    )
    await drained(fleet, 1)
    await first.stop()
    assert first.exit_code == 0
    await ends_on(fleet, await sent(payer, payee), 2)


async def test_every_transfer_ends_on_its_version_through_a_roll_out_and_back_between_codes_that_cannot_replay_each_other(
    fleet: Fleet, stack: Running, payer: Person, payee: Person, tmp_path: Path
) -> None:
    await fleet.worker(1)
    await fleet.worker(2, PATH=other_release(tmp_path / "next", fleet))
    await fleet.make_current(1)
    in_review_on_1 = await reviewed(payer, payee, REVIEWED)
    async with account_held(stack.database_url, payee.account_id):
        in_transit_on_1 = await in_transit(fleet, payer, payee)
        await fleet.make_current(2)
        in_transit_on_2 = await in_transit(fleet, payer, payee)
        in_review_on_2 = await reviewed(payer, payee, REVIEWED)
        await fleet.make_current(1)
    await ends_on(fleet, await sent(payer, payee), 1)
    await fleet.approve(in_review_on_1)
    await fleet.approve(in_review_on_2)
    await ends_on(fleet, in_transit_on_1, 1)
    await ends_on(fleet, in_review_on_1, 1)
    await ends_on(fleet, in_transit_on_2, 2)
    await ends_on(fleet, in_review_on_2, 2)
    assert await payee.balance() == 2 * REVIEWED + 3 * SMALL


async def test_workers_without_versions_get_what_is_new_before_the_first_version_is_current_and_after_versions_are_left(
    fleet: Fleet, database: Database, payer: Person, payee: Person
) -> None:
    await fleet.worker(1)
    waits = await sent(payer, payee)
    await waits_for_a_worker(fleet, payer, waits)
    await fleet.worker()
    await ends_on(fleet, waits, None)

    taken_over = await reviewed(payer, payee, FOUR_EYES)
    await fleet.make_current(1)
    await fleet.approve(taken_over)
    held_on_1 = await reviewed(payer, payee, REVIEWED)
    await fleet.worker(2)
    await fleet.make_current(2)
    await fleet.approve(taken_over, by=await staff(database))
    await ends_on(fleet, taken_over, None, 1)

    await leave_versions(fleet)
    await ends_on(fleet, await sent(payer, payee), None)
    await fleet.approve(held_on_1)
    await ends_on(fleet, held_on_1, 1)


async def test_a_version_whose_workers_died_can_become_current_and_continues_when_one_starts(
    fleet: Fleet, payer: Person, payee: Person
) -> None:
    await fleet.worker(1)
    lost = await fleet.worker(2)
    await fleet.make_current(2)
    pinned = await reviewed(payer, payee, REVIEWED)
    await one_left_on_2(fleet)
    lost.kill()
    assert await fleet.pollers(2, lost) == {"workflow", "activity"}, "it stays in the list for some minutes"
    await fleet.make_current(1)
    await fleet.make_current(2)
    new = await sent(payer, payee)
    await waits_for_a_worker(fleet, payer, new)

    await fleet.make_current(1)
    await ends_on(fleet, new, 1)
    assert await recovered(fleet) == Sweep(0, [], []), "its workflow runs, so recovery leaves it alone"
    await reaches(payer, pinned.id, "in_review")

    await fleet.worker(2)
    await fleet.approve(pinned)
    await ends_on(fleet, pinned, 2)


async def test_transfers_of_a_lost_version_move_to_one_that_can_replay_them(
    fleet: Fleet, stack: Running, payer: Person, payee: Person
) -> None:
    await fleet.worker(1)
    lost = await fleet.worker(2)
    await fleet.make_current(2)
    async with account_held(stack.database_url, payee.account_id):
        transfer = await in_transit(fleet, payer, payee)
        await a_step_waits(stack)
        lost.kill()
    await fleet.make_current(1)
    await one_left_on_2(fleet)
    await move_to_1(fleet)
    await ends_on(fleet, transfer, 2, 1)
    assert await payee.balance() == SMALL


async def test_transfers_of_a_lost_version_start_again_on_one_that_cannot_replay_them(
    fleet: Fleet, stack: Running, payer: Person, payee: Person, tmp_path: Path
) -> None:
    await fleet.worker(1)
    lost = await fleet.worker(2, PATH=other_release(tmp_path / "next", fleet))
    await fleet.make_current(2)
    async with account_held(stack.database_url, payee.account_id):
        transfer = await in_transit(fleet, payer, payee)
        lost.kill()
        await fleet.make_current(1)
        await one_left_on_2(fleet)
        await move_to_1(fleet)
        await fails_its_tasks(fleet, transfer)
        await fleet.run(
            """temporal workflow reset with-workflow-update-options --workflow-id 'transfer/cus_…/…' --type FirstWorkflowTask
            --versioning-override-behavior pinned --versioning-override-deployment-name remit --versioning-override-build-id 1
            --reason 'version 2 is gone'""",
            {"transfer/cus_…/…": transfer.workflow_id},
        )
    assert (await fleet.of(transfer).result()).state is State.COMPLETED
    assert await builds(fleet.of(transfer)) == [fleet.name(1)]
    assert await payee.balance() == SMALL


async def test_workers_without_versions_are_replaced_one_by_one(
    fleet: Fleet, stack: Running, payer: Person, payee: Person
) -> None:
    before = await fleet.worker()
    async with account_held(stack.database_url, payee.account_id):
        credited = await in_transit(fleet, payer, payee)
        waiting = await reviewed(payer, payee, REVIEWED)
        await fleet.worker()
        await before.stop()
    assert before.exit_code == 0
    await ends_on(fleet, credited, None)
    await fleet.approve(waiting)
    await ends_on(fleet, waiting, None)


async def test_a_transfer_that_new_code_cannot_replay_continues_by_reset_recovery_or_the_old_code(
    fleet: Fleet, stack: Running, payer: Person, payee: Person, tmp_path: Path
) -> None:
    old = await fleet.worker()
    async with account_held(stack.database_url, payee.account_id):
        overlooked = await asyncio.gather(*(in_transit(fleet, payer, payee) for _ in range(3)))
        anew, ended, left = overlooked
        await old.stop()
        new = await fleet.worker(PATH=other_release(tmp_path / "next", fleet))
        await asyncio.gather(*(fails_its_tasks(fleet, transfer) for transfer in overlooked))
        await fleet.run(
            """temporal workflow reset     --workflow-id "$ID" --type FirstWorkflowTask --reason 'ticket 4711'""",
            ID=anew.workflow_id,
        )
        await fleet.run(
            """temporal workflow terminate --workflow-id "$ID" --reason 'ticket 4711'""", ID=ended.workflow_id
        )
        await is_driven_on(fleet, ended)
        await asyncio.gather(*(reaches(payer, transfer.id, "debited") for transfer in overlooked))
    await completed(payer, anew)
    await completed(payer, ended)
    await completed(payer, left)
    assert await still_runs(fleet, left), "the step that it waited for is done, and nothing else"
    await new.stop()
    await fleet.worker()
    assert (await fleet.of(left).result()).state is State.COMPLETED
    assert await payee.balance() == 3 * SMALL


async def test_transfers_end_before_workers_without_versions_take_code_that_cannot_replay_them(
    fleet: Fleet, stack: Running, payer: Person, payee: Person, tmp_path: Path
) -> None:
    old = await fleet.worker()
    waiting = await reviewed(payer, payee, REVIEWED)
    await fleet.run("temporal schedule toggle   --schedule-id recovery --pause   --reason 'ticket 4711'")
    await fleet.approve(waiting)
    await ends_on(fleet, waiting, None)
    async with messages_held(stack):
        untold = await sent(payer, payee)
        await shows(fleet, untold, "completed")
        await says(fleet, TRANSFERS_THAT_RUN, "Total: 1\n")
        await fleet.run(
            """temporal workflow terminate --workflow-id "$ID" --reason 'ticket 4711'""", ID=untold.workflow_id
        )
    await says(fleet, TRANSFERS_THAT_RUN, "Total: 0\n")
    await completed(payer, untold)
    await old.stop()
    await fleet.run("remit migrate", REMIT_RECOVERY_INTERVAL_SECONDS="7200")
    described = await fleet.run("temporal schedule describe --schedule-id recovery")
    assert "2h" in described, described
    assert "Paused true" in " ".join(described.split()), described

    await fleet.worker(PATH=other_release(tmp_path / "next", fleet))
    await fleet.run("temporal schedule toggle   --schedule-id recovery --unpause --reason 'ticket 4711 is done'")
    await ends_on(fleet, await sent(payer, payee), None)
    assert await recovered(fleet) == Sweep(0, [], [])
    assert await payee.balance() == REVIEWED + 2 * SMALL


async def test_a_worker_that_is_asked_to_stop_ends_the_step_that_it_runs(
    fleet: Fleet, stack: Running, payer: Person, payee: Person
) -> None:
    worker = await fleet.worker()
    async with account_held(stack.database_url, payee.account_id):
        transfer = await sent(payer, payee)
        await a_step_waits(stack)
        os.kill(worker.pid, signal.SIGTERM)
    await asyncio.wait_for(worker.ended(), STOP_SECONDS)
    assert worker.exit_code == 0
    await completed(payer, transfer)


async def test_the_step_of_a_worker_that_is_killed_is_repeated_elsewhere(
    fleet: Fleet, stack: Running, payer: Person, payee: Person
) -> None:
    worker = await fleet.worker()
    async with account_held(stack.database_url, payee.account_id):
        transfer = await sent(payer, payee)
        await a_step_waits(stack)
        worker.kill()
        await fleet.worker()
    await ends_on(fleet, transfer, None)
    assert await payee.balance() == SMALL


async def test_an_api_that_is_asked_to_stop_answers_who_waits(fleet: Fleet, payer: Person, payee: Person) -> None:
    async with api_of(fleet, payer, "remit api") as (api, client):
        key = secrets.token_hex(8)
        request = asyncio.create_task(client.pay(payee, SMALL, key, "wait=30"))

        async def accepted() -> bool:
            workflow_id = transfer_workflow_id(CustomerId(payer.id), key)
            found = await fleet.client.count_workflows(f"WorkflowId='{workflow_id}'")
            return found.count == 1

        await until(accepted, "the transfer is accepted")
        os.kill(api.pid, signal.SIGTERM)
        answer = await asyncio.wait_for(request, HTTP_STOP_SECONDS)
        assert (answer.status_code, answer.json()["state"]) == (202, "initiated")
        await asyncio.wait_for(api.ended(), STOP_SECONDS)
        assert api.exit_code == 0
    await fleet.worker()
    await reaches(payer, answer.json()["id"], "completed")


async def test_one_process_for_both_begins_transfers_itself_whichever_version_is_current(
    fleet: Fleet, payer: Person, payee: Person
) -> None:
    await fleet.worker(1)
    await fleet.make_current(1)
    async with api_of(fleet, payer, "remit api --with-worker", REMIT_BUILD_ID=fleet.name(2)) as (_, client):
        transfer = await sent(client, payee, wait=30)
        await ends_on(fleet, transfer, 2)
        (begun, *_) = (await fleet.of(transfer).fetch_history()).events
        assert begun.workflow_execution_started_event_attributes.eager_execution_accepted


async def test_one_process_for_both_answers_beside_its_steps_and_stops_as_the_two_do_alone(
    fleet: Fleet, stack: Running, payer: Person, payee: Person
) -> None:
    one = {"REMIT_DATABASE_CONNECTIONS": "1"}
    async with api_of(fleet, payer, "remit api --with-worker", **one) as (both, client):
        async with account_held(stack.database_url, payee.account_id):
            request = asyncio.create_task(client.pay(payee, SMALL, prefer="wait=30"))
            await a_step_waits(stack)
            assert await client.balance() == FUNDS - SMALL
            os.kill(both.pid, signal.SIGTERM)
            answer = await asyncio.wait_for(request, HTTP_STOP_SECONDS)
            assert (answer.status_code, answer.json()["state"]) == (202, "debited")
        await asyncio.wait_for(both.ended(), STOP_SECONDS)
        assert both.exit_code == 0
    await fleet.worker()
    await completed(payer, Sent(answer.json()["id"], answer.json()["workflow_id"]))
