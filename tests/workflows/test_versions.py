"""Versions of the code side by side: transfers end on the one they began on, and people move what lost its workers.

The command lines are those of `docs/operate/`, run by the CLI that comes with the server.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest
from temporalio.client import Client
from temporalio.common import VersioningBehavior

from customers.postgres import Customers
from database.connections import Database, Unavailable
from devenv.servers.temporal_binary import temporal_binary
from devenv.servers.temporal_server import TemporalServer
from ledger.postgres.account_reads import AccountReads
from ledger.recovery import Sweep
from ledger.transfers import Standing, State, TransferOrder
from settings import Settings
from tests.orders import Holder, funded, holder, order
from tests.waiting import until
from tests.workflows.reordered import ScreensFirst
from tests.workflows.sagas import Handle, Hold, Sagas, UnreliableBook, builds, failed_tasks, line_breaks, sagas
from worker import VERSIONED_WORKFLOWS, promotion
from workflows.recovery import RecoveryWorkflow
from workflows.search_attributes import SEARCH_ATTRIBUTE_TYPES
from workflows.versioned import AutoUpgradedRecovery

INCOMPATIBLE = (ScreensFirst, AutoUpgradedRecovery)


@dataclass
class Versions:
    """A server with one deployment, one task queue, and versions of the worker that come and go."""

    binary: Path
    server: TemporalServer
    client: Client
    database: Database
    payer: Holder
    payee: Holder

    def __post_init__(self) -> None:
        self.task_queue = f"versions-{secrets.token_hex(6)}"

    def worker(
        self, build_id: str, book: UnreliableBook, workflows: Sequence[type] | None = None
    ) -> AbstractAsyncContextManager[Sagas]:
        return sagas(self.client, book, workflows=workflows, task_queue=self.task_queue, build_id=build_id)

    def order(self) -> TransferOrder:
        return order(self.payer.id, self.payer.account_id, self.payee.account_id, 100)

    async def temporal(self, line: str, *more: str) -> tuple[int, str]:
        """Run the CLI; its exit code and what it printed."""
        here = ("--address", self.server.address, "--disable-config-file", "--disable-config-env")
        words = [*line.split()[1:], *more, *here]
        process = await asyncio.create_subprocess_exec(
            self.binary, *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        printed, _ = await process.communicate()
        return process.returncode or 0, printed.decode()

    async def make_current(self, build_id: str) -> None:
        """As soon as the server has heard of the version's worker."""

        async def done() -> bool:
            code, _ = await self.temporal(promotion(build_id), "--yes")
            return code == 0

        await until(done, f"version {build_id} is current")

    async def counted(self, query: str, number: int) -> None:
        async def found() -> bool:
            return (await self.client.count_workflows(query)).count == number

        await until(found, f"{number} of {query}")


def pinned_to(build_id: str) -> str:
    return (
        "--versioning-override-behavior pinned --versioning-override-deployment-name remit "
        f"--versioning-override-build-id {build_id}"
    )


@pytest.fixture
async def versions(tmp_path: Path, database: Database, customers: Customers) -> AsyncIterator[Versions]:
    """A server of its own for each test: a deployment is known to all of its namespace, and never forgotten."""
    binary = await temporal_binary(Settings().cache, print, Settings().temporal_cli)
    server = TemporalServer(binary, log=tmp_path / "temporal.log", search_attributes=SEARCH_ATTRIBUTE_TYPES)
    await server.start()
    try:
        payer = await funded(customers, UnreliableBook(database), 10_000)
        payee = await holder(customers)
        client = await Client.connect(server.address)
        yield Versions(binary, server, client, database, payer, payee)
    finally:
        await server.stop()


@pytest.fixture
def one(database: Database) -> UnreliableBook:
    """What version 1 writes to."""
    return UnreliableBook(database)


@pytest.fixture
def two(database: Database) -> UnreliableBook:
    """What version 2 writes to: the same database."""
    return UnreliableBook(database)


@pytest.mark.long
async def test_a_version_gets_no_transfers_before_it_is_current(versions: Versions, one: UnreliableBook) -> None:
    async with versions.worker("1", one) as first:

        async def known() -> bool:
            code, _ = await versions.temporal(
                "temporal worker deployment describe-version --deployment-name remit --build-id 1"
            )
            return code == 0

        await until(known, "the server has heard of version 1")
        handle = await first.start(versions.order())
        history = await handle.fetch_history()
        assert not any(event.HasField("workflow_task_started_event_attributes") for event in history.events)
        assert one.calls == []
        await versions.make_current("1")
        assert (await handle.result()).state is State.COMPLETED


async def test_transfers_in_flight_end_on_their_version_through_a_roll_out_and_a_roll_back(
    versions: Versions, one: UnreliableBook, two: UnreliableBook
) -> None:
    on_one, on_two = Hold(), Hold()
    one.before["credit"] += [line_breaks, on_one]
    two.before["credit"] += [line_breaks, on_two]
    async with versions.worker("1", one) as saga, versions.worker("2", two, INCOMPATIBLE):
        await versions.make_current("1")
        before = await saga.start(versions.order())
        await asyncio.wait_for(on_one.reached.wait(), 30)

        await versions.make_current("2")
        after = await saga.start(versions.order())
        await asyncio.wait_for(on_two.reached.wait(), 30)
        on_one.released.set()
        assert (await before.result()).state is State.COMPLETED
        assert await builds(before) == ["1"]

        await versions.make_current("1")
        later = await saga.start(versions.order())
        assert (await later.result()).state is State.COMPLETED
        assert await builds(later) == ["1"]
        on_two.released.set()
        assert (await after.result()).state is State.COMPLETED
        assert await builds(after) == ["2"]
        assert [await failed_tasks(handle) for handle in (before, after, later)] == [0, 0, 0]


@pytest.mark.long
async def test_a_transfer_moves_to_a_version_that_can_replay_it_and_goes_on_where_it_was(
    versions: Versions, one: UnreliableBook, two: UnreliableBook
) -> None:
    two.before["credit"] += [line_breaks] * 100
    async with versions.worker("1", one) as saga:
        async with versions.worker("2", two, VERSIONED_WORKFLOWS):
            await versions.make_current("2")
            handle = await saga.start(versions.order())
            await until(lambda: _called(two, "credit", 2), "the credit is in doubt")
        # Version 2 is gone, and its transfer waits for it.
        await versions.make_current("1")
        left_behind = "TemporalWorkerDeploymentVersion='remit:2' AND ExecutionStatus='Running'"
        await versions.counted(left_behind, 1)
        code, printed = await versions.temporal(
            f"temporal workflow update-options {pinned_to('1')} --yes --reason gone --query", left_behind
        )
        assert code == 0, printed
        assert (await handle.result()).state is State.COMPLETED
        assert await builds(handle) == ["2", "1"]
        assert set(one.calls) == {"credit", "notify"}, "nothing that was answered is asked again"


@pytest.mark.long
async def test_a_transfer_whose_version_is_gone_for_good_begins_anew_and_moves_its_money_once(
    versions: Versions, one: UnreliableBook, two: UnreliableBook
) -> None:
    two.before["credit"] += [line_breaks] * 100
    async with versions.worker("1", one) as saga:
        async with versions.worker("2", two, INCOMPATIBLE):
            await versions.make_current("2")
            handle = await saga.start(versions.order())
            await until(lambda: _called(two, "credit", 2), "the credit is in doubt")
        await versions.make_current("1")
        # Moved as it is, it fails its tasks and waits: version 1 has another order of steps.
        code, printed = await versions.temporal(
            f"temporal workflow update-options {pinned_to('1')} --workflow-id", handle.id
        )
        assert code == 0, printed
        await until(lambda: _some_failed(handle), "version 1 cannot replay it")
        code, printed = await versions.temporal(
            f"temporal workflow reset with-workflow-update-options {pinned_to('1')} --type FirstWorkflowTask "
            "--reason gone --workflow-id",
            handle.id,
        )
        assert code == 0, printed
        anew = versions.client.get_workflow_handle(handle.id, result_type=Standing)
        assert (await anew.result()).state is State.COMPLETED
        assert "open" in one.calls
        arrived = await AccountReads(versions.database).own(versions.payee.id, versions.payee.account_id)
        assert arrived is not None
        assert arrived.balance_minor == 100


class Mute(Database):
    """Gives no answer, and tells that it was asked."""

    def __init__(self, url: str) -> None:
        super().__init__(url, connections=1)
        self.asked = asyncio.Event()

    def connection(self) -> NoReturn:
        self.asked.set()
        raise Unavailable("the line is dead")


@pytest.mark.long
async def test_recovery_goes_on_with_the_current_version(
    versions: Versions, two: UnreliableBook, database_url: str
) -> None:
    mute = Mute(database_url)
    one = UnreliableBook(mute)
    async with versions.worker("1", one), versions.worker("2", two):
        await versions.make_current("1")
        handle = await versions.client.start_workflow(
            RecoveryWorkflow.run, id="recovery", task_queue=versions.task_queue
        )
        await asyncio.wait_for(mute.asked.wait(), 30)
        await versions.make_current("2")
        assert await handle.result() == Sweep(0, [], [])
        description = await handle.describe()
        behavior = description.raw_description.workflow_execution_info.versioning_info.behavior
        assert VersioningBehavior(behavior) is VersioningBehavior.AUTO_UPGRADE


async def _called(book: UnreliableBook, step: str, times: int) -> bool:
    return book.calls.count(step) >= times


async def _some_failed(handle: Handle) -> bool:
    return await failed_tasks(handle) > 0
