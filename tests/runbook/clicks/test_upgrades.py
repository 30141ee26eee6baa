"""Versions in the Web UI: which is current, which drains, and what runs on each."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.async_api import Browser
from temporalio.client import Client

from database.connections import Database
from devenv.processes.ports import free_port
from devenv.servers.temporal_binary import temporal_binary
from devenv.servers.temporal_server import TemporalServer
from ledger.ids import AccountId, CustomerId
from ledger.postgres.book import Book
from settings import Settings
from staff.postgres.reversal_record import record_reversal
from tests.api.people import Person
from tests.orders import FINGERPRINTS, order
from tests.runbook.commands import Runbook
from tests.runbook.conftest import REVIEW_FROM
from tests.runbook.web_ui import WebUI, web_ui
from tests.waiting import until
from worker import build_worker
from workflows.search_attributes import SEARCH_ATTRIBUTE_TYPES, search_attributes
from workflows.transfer.saga import TransferWorkflow

SETTINGS = Settings().model_copy(update={"review_from_major": REVIEW_FROM})


@dataclass
class SeparateTemporal:
    """A Temporal without versions, beside the stack's books."""

    client: Client
    ui_url: str
    runbook: Runbook


@pytest.fixture
async def separate(tmp_path: Path, environment: dict[str, str]) -> AsyncIterator[SeparateTemporal]:
    server = TemporalServer(
        await temporal_binary(Settings().cache, print, Settings().temporal_cli),
        log=tmp_path / "temporal.log",
        ui_port=free_port(),
        search_attributes=SEARCH_ATTRIBUTE_TYPES,
    )
    await server.start()
    try:
        assert server.ui_url is not None
        client = await Client.connect(server.address)
        yield SeparateTemporal(client, server.ui_url, Runbook({**environment, "TEMPORAL_ADDRESS": server.address}))
    finally:
        await server.stop()


@pytest.fixture
async def ui(separate: SeparateTemporal, chromium: Browser, screenshots: Path) -> AsyncIterator[WebUI]:
    async with web_ui(chromium, separate.ui_url, screenshots) as ui:
        yield ui


async def is_current(separate: SeparateTemporal, version: int) -> None:
    """Make the version current as soon as Temporal knows it."""
    line = "temporal worker deployment set-current-version --deployment-name remit --build-id 1 --yes"
    if version == 2:
        line = "temporal worker deployment set-current-version --deployment-name remit --build-id 2 --yes"

    async def is_done() -> bool:
        try:
            await separate.runbook.run(line)
        except AssertionError as error:
            if "not found in deployment" in str(error):
                return False
            raise
        return True

    await until(is_done, f"version {version} is current")


async def test_the_page_of_deployments_leads_from_a_draining_version_to_what_runs_on_it(
    separate: SeparateTemporal, ui: WebUI, database: Database, payer: Person, payee: Person
) -> None:
    accounts = AccountId(payer.account_id), AccountId(payee.account_id)
    wanted = order(CustomerId(payer.id), *accounts, REVIEW_FROM * 100)
    one, two = (SETTINGS.model_copy(update={"build_id": build_id}) for build_id in ("1", "2"))
    async with (
        build_worker(separate.client, Book(database, FINGERPRINTS, record_reversal), one),
        build_worker(separate.client, Book(database, FINGERPRINTS, record_reversal), two),
    ):
        await is_current(separate, 1)
        handle = await separate.client.start_workflow(
            TransferWorkflow.run,
            wanted,
            id=wanted.workflow_id,
            task_queue=SETTINGS.task_queue,
            search_attributes=search_attributes(wanted),
        )
        await ui.list_by("TransferState='in_review'", finds=wanted.workflow_id)
        await is_current(separate, 2)

        await ui.deployment("remit")
        await ui.page.get_by_role("row", name="2 Current Since").wait_for()
        await ui.page.get_by_role("row", name="1 Draining").wait_for()
        await ui.picture("deployment")
        await ui.page.get_by_role("row", name="1 Draining").get_by_role("link", name="Go to Workflows").click()
        await ui.page.get_by_role("link", name=wanted.workflow_id).click()

        await ui.page.get_by_text("Pinned", exact=True).wait_for()
        await ui.picture("pinned")
        await ui.page.get_by_role("link", name=SETTINGS.task_queue, exact=True).first.click()
        for build_id in ("1", "2"):
            await ui.page.get_by_role("row", name=f" {build_id} remit ").wait_for()
        await ui.picture("task-queue")
        await handle.cancel()
        await handle.result()
