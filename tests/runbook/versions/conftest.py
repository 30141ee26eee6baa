"""An API without a worker, and a Temporal whose versions drain within seconds."""

import asyncio
import secrets
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from temporalio.client import Client

from cli.migrate import prepare
from database.connections import Database
from devenv.processes.ports import free_port
from devenv.processes.process import Process
from devenv.servers.temporal_binary import temporal_binary
from devenv.servers.temporal_server import TemporalServer
from devenv.stack import Running, Stack
from ledger.ids import AccountId, CustomerId
from ledger.postgres.audit import audit
from ledger.postgres.book import Book
from settings import Settings
from staff.postgres.reversal_record import record_reversal
from tests.api.people import Person, register
from tests.orders import FINGERPRINT_KEY, FINGERPRINTS, deposited, staff
from tests.runbook.commands import Runbook
from tests.runbook.conftest import terminal
from tests.runbook.fleet import (
    FOUR_EYES,
    FUNDS,
    REVIEWED,
    Fleet,
    leave_versions,
)
from workflows.search_attributes import SEARCH_ATTRIBUTE_TYPES

API_SECRET = secrets.token_hex(32)
# Temporal's defaults are minutes.
DRAINS_SOON = {
    "matching.wv.VersionDrainageStatusVisibilityGracePeriod": '"1s"',
    "matching.wv.VersionDrainageStatusRefreshInterval": '"1s"',
}


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
        "REMIT_FOUR_EYES_AFTER_SECONDS": "0",
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
