"""`remit status` and `remit show`, as an operator at night reads them: on real servers, in a process of their own."""

import re
import shlex
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest
from temporalio.client import Client
from temporalio.testing import ActivityEnvironment

from activities.recovery import RecoverySteps
from cli.overview.long_work import LongWork
from customers.postgres import Customers
from database.connections import Database
from devenv.servers.temporal_server import TemporalServer
from ledger.postgres.book import Book
from ledger.transfers import Step
from settings import Settings
from tests.api.people import Person, reaches, register, running_api
from tests.cli.remit import remit
from tests.connections import Connection
from tests.ledger.request_scene import request_scene
from tests.orders import FINGERPRINT_KEY, holder, order
from tests.runbook.row_locks import account_held
from tests.waiting import until


@pytest.fixture
def settings(database_url: str, temporal: TemporalServer) -> Settings:
    return Settings.model_validate(
        {
            "database_url": database_url,
            "temporal_address": temporal.address,
            "jwt_secret": "s" * 32,
            "fingerprint_keys": FINGERPRINT_KEY,
            "sandbox_rails": True,
            "task_queue": f"test-{database_url.rpartition('_')[2]}",
            "stuck_after_seconds": 1,
            "review_from_major": 100,
        }
    )


@pytest.fixture
async def http(settings: Settings, database: Database) -> AsyncIterator[httpx.AsyncClient]:
    async with running_api(settings, database) as http:
        yield http


@pytest.fixture
async def ada(http: httpx.AsyncClient) -> Person:
    person = await register(http)
    await person.deposit(9_000)
    return person


@pytest.fixture
async def ben(http: httpx.AsyncClient) -> Person:
    return await register(http, full_name="Ben Sow")


async def run(settings: Settings, *command: str) -> tuple[int, str]:
    status, printed, output = await remit(
        *command,
        REMIT_DATABASE_URL=str(settings.database_url),
        REMIT_TEMPORAL_ADDRESS=str(settings.temporal_address),
        REMIT_TASK_QUEUE=settings.task_queue,
        REMIT_STUCK_AFTER_SECONDS="1",
    )
    assert output == []
    return status, printed


async def test_status_says_what_is_stuck_why_who_blocks_it_and_the_command_to_paste(
    settings: Settings, database_url: str, ada: Person, ben: Person
) -> None:
    async with account_held(database_url, ben.account_id) as held:
        pid = held.pid
        stuck = (await ada.pay(ben, 7_00, prefer="wait=0")).json()
        printed = [""]

        async def says_all() -> bool:
            status, printed[0] = await run(settings, "status")
            return status == 1 and "LockNotAvailableError" in printed[0] and f"Session {pid}" in printed[0]

        await until(says_all, "the transfer is stuck for a reason, behind a session", 60)
    await reaches(ada, stuck["id"], "completed")
    lines = [line.strip() for line in printed[0].splitlines()]
    assert f"{stuck['id']} transfer of $7.00, in transit for" in printed[0]
    assert f"Session {pid} (reports, 127.0.0.1) holds locks on the books for " in printed[0]
    assert [line for line in lines if line.startswith("why") and "credit_destination, attempt " in line]
    (ending,) = [line.removeprefix("end it").strip() for line in lines if line.startswith("end it")]
    assert shlex.split(ending)[-1] == f"SELECT pg_terminate_backend({pid})"
    (giving,) = [line.removeprefix("give back").strip() for line in lines if line.startswith("give back")]
    assert stuck["workflow_id"] in shlex.split(giving)
    assert "$7.00 in 1 transfer" in printed[0]


@pytest.mark.system
async def test_status_of_a_healthy_service_asks_for_nobody(settings: Settings, ada: Person, ben: Person) -> None:
    await ada.pay(ben, 7_00)
    status, printed = await run(settings, "status")
    assert "answers; 1 worker asks for work" in printed
    assert re.search(r"In transit +nothing", printed)
    assert not re.search(r"^\S*trf_", printed, re.MULTILINE)
    # Another test may have left the schedule of recovery on the server. Without one, somebody should act.
    assert status == ("has no schedule: `remit migrate` creates it" in printed)


@pytest.mark.system
async def test_status_without_temporal_still_tells_what_the_books_know(settings: Settings, ada: Person) -> None:
    nowhere = settings.model_copy(update={"temporal_address": "127.0.0.1:1"})
    status, printed = await run(nowhere, "status")
    assert status == 1
    assert re.search(r"Temporal +does not answer: Temporal at 127\.0\.0\.1:1 does not answer: ", printed)
    assert re.search(r"In review +nothing", printed)


@pytest.mark.system
async def test_show_tells_a_transfer_from_its_acceptance_to_its_messages(
    settings: Settings, ada: Person, ben: Person
) -> None:
    done = (await ada.pay(ben, 7_00, "rent-november", note="November")).json()

    async def is_notified() -> bool:
        _, printed = await run(settings, "show", done["id"])
        names = re.findall(r"^\d\d:\d\d:\d\d\.\d{3} +(\w+)", printed, re.MULTILINE)
        return names == ["accepted", "debit", "credit", "completed", "message", "message"]

    await until(is_notified, "the timeline has every step and both messages")
    status, printed = await run(settings, "show", done["id"])
    assert status == 0
    text = " ".join(printed.split())
    assert f"{done['id']} transfer of $7.00 completed" in text
    assert f"asked for by {ada.id} under the key rent-november; note: November" in text
    assert f"$7.00 {ada.account_id} → clearing; {ada.account_id} has $83.00, before $90.00 (entry 2)" in text


@pytest.mark.system
async def test_show_of_a_transfer_in_review_says_what_it_waits_for(
    settings: Settings, ada: Person, ben: Person
) -> None:
    for _ in range(2):
        await ada.deposit(9_000)
    waiting = (await ada.pay(ben, 150_00, prefer="wait=0")).json()
    await reaches(ada, waiting["id"], "in_review")
    _, printed = await run(settings, "show", waiting["id"])
    assert f"{waiting['workflow_id']} runs and waits for its review" in printed
    assert re.search(r"review began +1 to approve, until \d{4}-\d\d-\d\d \d\d:\d\d UTC", printed)
    await ada.post(f"/v1/transfers/{waiting['id']}/cancel", {})


@pytest.mark.system
async def test_show_tells_which_run_of_recovery_ended_a_transfer_and_why(
    settings: Settings, book: Book, customers: Customers, client: Client
) -> None:
    owner, other = await holder(customers), await holder(customers)
    lost = order(owner.id, owner.account_id, other.account_id, 7_00)
    await book.open_transfer(lost)
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, workflow_id="recovery-1", workflow_run_id="run-1")
    steps = RecoverySteps(client, book, 0)
    assert await environment.run(steps.abandon_stranded, Step(lost.transfer_id, 1))
    _, printed = await run(settings, "show", lost.transfer_id)
    text = " ".join(printed.split())
    assert "recovery ended attempt 1 from initiated to failed by recovery-1 (run run-1): No workflow ran for it" in text


@pytest.mark.system
async def test_show_of_an_unknown_transfer_is_one_line(settings: Settings, database: Database) -> None:
    unknown = f"trf_{'a' * 26}"
    status, printed, output = await remit("show", unknown, REMIT_DATABASE_URL=str(settings.database_url))
    assert (status, printed, output) == (1, "", [f"The books have no transfer {unknown}."])


@pytest.mark.system
async def test_status_names_a_batch_and_a_statement_without_progress_and_payments_that_were_missed(
    settings: Settings, database: Database, owner: Connection
) -> None:
    names = await request_scene(database, owner)
    assert dict(LongWork().summary()) == {
        "Batches": "nothing",
        "Standing": "nothing is late",
        "Statements": "all are added up",
    }
    # As after an hour in which no worker ran.
    await owner.execute("SET session_replication_role = replica")
    await owner.execute("UPDATE batches SET updated_at = updated_at - interval '10 minutes'")
    await owner.execute(
        "UPDATE standing_order_occurrences SET state = 'missed', code = 'outage' WHERE state = 'skipped'"
    )
    await owner.execute(
        "UPDATE standing_orders SET state = 'active', paused_by = NULL, next_at = now() - interval '1 h'"
    )
    await owner.execute("UPDATE account_statements SET made_at = made_at - interval '2 h' WHERE number = 1")
    await owner.execute("UPDATE account_statement_totals SET ready_at = NULL WHERE number = 1")
    status, printed = await run(settings, "status")
    assert status == 1
    assert re.search(r"Batches +1 batch under way, 1 without progress, the first for", printed)
    assert f"{names['batch']} batch, in progress: 3 of 3 items are posted, none for 10 min" in printed
    assert f"temporal workflow describe --workflow-id batch/{names['batch']}" in printed
    late = "1 payment late, the first for 1 h 0 min; 1 payment missed within a day, 1 of them by an outage"
    assert re.search(rf"Standing +{late}", printed)
    assert re.search(r"Statements +1 statement being added up, 1 without an end, the first for 2 h", printed)
    assert f"{names['alice']} statement 1: 1 of 1 lines are added up in 2 h" in printed
    assert "temporal schedule trigger --schedule-id statements" in printed
    # The books are audited when the test ends.
    await owner.execute("UPDATE account_statement_totals SET ready_at = now() WHERE ready_at IS NULL")
