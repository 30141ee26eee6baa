"""What ends a session ends it in every process at once: two processes of the API, over one database."""

import os
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from database.connections import Database
from devenv.servers.temporal_server import TemporalServer
from staff.permissions import Role
from tests.api.people import PASSWORD, Person, register
from tests.orders import FINGERPRINT_KEY, promoted
from tests.runbook.processes import ExtraProcesses

pytestmark = pytest.mark.system

NEW_PASSWORD = "another horse battery"
Pair = tuple[httpx.AsyncClient, httpx.AsyncClient]


@pytest.fixture
async def processes(database_url: str, temporal: TemporalServer, tmp_path: Path) -> AsyncIterator[Pair]:
    """Two processes, which share their settings and their database."""
    (tmp_path / "log").mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("REMIT_")} | {
        "REMIT_DATABASE_URL": database_url,
        "REMIT_TEMPORAL_ADDRESS": temporal.address,
        "REMIT_FINGERPRINT_KEYS": FINGERPRINT_KEY,
        "REMIT_SANDBOX_RAILS": "true",
    }
    both = ExtraProcesses(environment, tmp_path, task_queue=f"test-{secrets.token_hex(6)}")
    async with (
        both.running("api") as first,
        both.running("api") as second,
        httpx.AsyncClient(base_url=first.url, timeout=60, trust_env=False) as here,
        httpx.AsyncClient(base_url=second.url, timeout=60, trust_env=False) as there,
    ):
        yield here, there


async def sign_in(http: httpx.AsyncClient, person: Person, password: str = PASSWORD) -> dict[str, Any]:
    answer = await http.post("/v1/auth/login", json={"email": person.email, "password": password})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def lets_in(http: httpx.AsyncClient, token: str) -> bool:
    return (await http.get("/v1/auth/me", headers={"Authorization": f"Bearer {token}"})).status_code == 200


async def test_the_end_of_a_session_a_password_a_key_or_a_customer_counts_in_the_other_process_at_once(
    processes: Pair, database: Database
) -> None:
    here, there = processes
    ada, admin = await register(here), await register(here, full_name="Grace Ade")
    await promoted(database, admin.id, Role.ADMIN)
    mine = {"Authorization": f"Bearer {ada.token}"}

    phone = await sign_in(there, ada)
    assert await lets_in(here, phone["access_token"])
    items = (await ada.get("/v1/auth/sessions")).json()["items"]
    (other,) = (session["id"] for session in items if not session["current"])
    assert (await here.delete(f"/v1/auth/sessions/{other}", headers=mine)).status_code == 204
    assert not await lets_in(there, phone["access_token"])

    made = await ada.post("/v1/auth/api-keys", {"name": "A shop", "scopes": ["transfers:read"], "password": PASSWORD})
    key = made.json()["key"]
    assert await lets_in(there, key)
    assert (await here.delete(f"/v1/auth/api-keys/{made.json()['id']}", headers=mine)).status_code == 204
    assert not await lets_in(there, key)

    phone = await sign_in(there, ada)
    wanted = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    assert (await ada.post("/v1/auth/password", wanted)).status_code == 204
    assert not await lets_in(there, phone["access_token"])
    assert await lets_in(there, ada.token)

    disabled = await admin.post(f"/v1/admin/customers/{ada.id}/disable", {"reason": "Reported as stolen"})
    assert disabled.status_code == 200
    assert not await lets_in(there, ada.token)
