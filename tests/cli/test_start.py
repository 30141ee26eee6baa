"""A process that cannot start, or has to wait, says why in one line that a person can act on."""

import asyncio
import json
import socket

import pytest
from pydantic import ValidationError

from devenv.processes.ports import LOCALHOST, free_port
from devenv.servers.postgres_server import PostgresServer
from devenv.servers.temporal_server import TemporalServer
from settings import Settings, unknown_variables
from tests.cli.remit import STARTS_WITHIN_SECONDS, ended, remit, started

pytestmark = pytest.mark.system

SECRET = "s" * 32
NOWHERE = f"{LOCALHOST}:1"


async def test_a_misspelt_setting_is_refused_with_the_one_that_was_meant(database_url: str) -> None:
    status, _, output = await remit("verify", REMIT_DATABASE_URL=database_url, REMIT_STUCK_AFTER_SECOND="5")
    assert (status, output) == (
        2,
        ["REMIT_STUCK_AFTER_SECOND: there is no such setting. Did you mean REMIT_STUCK_AFTER_SECONDS?"],
    )


def test_a_variable_that_is_no_setting_of_ours_is_let_pass() -> None:
    assert unknown_variables({"PATH": "", "REMITTANCE": "", "remit_home": "", "REMIT_OWNER_PASSWORD": ""}) == []
    kubernetes = {"REMIT_WEB_SERVICE_HOST": "10.0.0.1", "REMIT_WEB_PORT": "tcp://10.0.0.1:80"}
    assert unknown_variables(kubernetes | {"REMIT_WEB_PORT_80_TCP_ADDR": "10.0.0.1"}) == []
    assert len(unknown_variables({"REMIT_WEB_PORT": "80", "REMIT_NONSENSE": ""})) == 2


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (
            {"review_from_major": 10_000, "decline_from_major": 10_000},
            ("REMIT_REVIEW_FROM_MAJOR", "REMIT_DECLINE_FROM_MAJOR"),
        ),
        (
            {"four_eyes_from_major": 5, "review_from_major": 0},
            ("REMIT_FOUR_EYES_FROM_MAJOR", "REMIT_REVIEW_FROM_MAJOR"),
        ),
        ({"rules_file": "rules.toml", "review_from_major": 5}, ("REMIT_RULES_FILE", "REMIT_REVIEW_FROM_MAJOR")),
        (
            {"review_from_major": 5, "four_eyes_from_major": 20_000, "decline_from_major": 10_000},
            ("REMIT_FOUR_EYES_FROM_MAJOR", "REMIT_DECLINE_FROM_MAJOR"),
        ),
    ],
)
def test_thresholds_that_contradict_each_other_are_refused(given: dict[str, object], named: tuple[str, str]) -> None:
    with pytest.raises(ValidationError) as refused:
        Settings.model_validate(given)
    (error,) = refused.value.errors()
    assert all(name in error["msg"] for name in named)


async def test_contradictory_thresholds_are_one_line_at_start() -> None:
    status, _, output = await remit("verify", REMIT_REVIEW_FROM_MAJOR="20000", REMIT_DECLINE_FROM_MAJOR="10000")
    assert (status, len(output)) == (2, 1)
    conflict = "REMIT_REVIEW_FROM_MAJOR=20000 and REMIT_DECLINE_FROM_MAJOR=10000 contradict each other"
    assert output[0].startswith(conflict)


def test_an_audit_leaves_lists_a_connection() -> None:
    with pytest.raises(ValidationError, match="greater than or equal to 2"):
        Settings.model_validate({"report_connections": 1})


def test_an_empty_variable_is_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REMIT_REVIEW_FROM_MAJOR", "REMIT_STUCK_AFTER_SECONDS", "REMIT_BUILD_ID"):
        monkeypatch.setenv(name, "")
    found = Settings()
    assert (found.review_from_major, found.stuck_after_seconds, found.build_id) == (None, 60, None)


@pytest.mark.parametrize("address", ["temporal", "http://temporal:7233", "temporal:port", ":7233"])
def test_a_temporal_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(ValidationError, match="must look like host:7233"):
        Settings.model_validate({"temporal_address": address})


async def test_a_bad_temporal_address_is_one_line() -> None:
    status, _, output = await remit(
        "worker", REMIT_DATABASE_URL="postgresql://remit@localhost/remit", REMIT_TEMPORAL_ADDRESS="temporal"
    )
    assert (status, output) == (2, ["REMIT_TEMPORAL_ADDRESS: must look like host:7233, not temporal"])


async def test_a_taken_port_is_one_line_that_names_its_setting() -> None:
    with socket.socket() as taken:
        taken.bind((LOCALHOST, 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        status, _, output = await remit(
            "api",
            REMIT_DATABASE_URL="postgresql://remit@localhost/remit",
            REMIT_TEMPORAL_ADDRESS=NOWHERE,
            REMIT_JWT_SECRET=SECRET,
            REMIT_API_PORT=port,
        )
    assert (status, len(output)) == (1, 1)
    assert output[0].startswith(f"Port {port} for the API is taken by ")
    assert output[0].endswith("or set REMIT_API_PORT to another port.")


async def test_a_wrong_password_ends_migrate_at_once_with_one_line(postgres: PostgresServer) -> None:
    scheme, _, place = postgres.url.partition("@")
    user = scheme.rpartition(":")[0]
    status, _, output = await asyncio.wait_for(remit("migrate", REMIT_DATABASE_URL=f"{user}:wrong@{place}"), 20)
    assert (status, len(output)) == (1, 1)
    assert "password authentication failed" in output[0]
    assert output[0].endswith("Check user and password in REMIT_DATABASE_URL.")
    assert "wrong" not in output[0]


async def lines_until(process: asyncio.subprocess.Process, wanted: str) -> list[str]:
    """What the process says, up to the line with these words."""
    assert process.stderr is not None
    lines: list[str] = []
    async with asyncio.timeout(STARTS_WITHIN_SECONDS):
        while not (lines and wanted in lines[-1]):
            line = await process.stderr.readline()
            assert line, f"it ended without saying {wanted}: {lines}"
            lines.append(line.decode().rstrip())
    return lines


async def test_a_worker_without_postgresql_says_so_in_one_line(temporal: TemporalServer) -> None:
    url = f"postgresql://remit:secret@{LOCALHOST}:{free_port()}/remit"
    process = await started(
        "worker", REMIT_DATABASE_URL=url, REMIT_TEMPORAL_ADDRESS=temporal.address, REMIT_LOG_FORMAT="json"
    )
    try:
        lines = await lines_until(process, "PostgreSQL did not answer")
        output = json.loads(lines[-1])
        assert output["level"] == "warning"
        assert output["event"].endswith("Trying again until PostgreSQL answers")
        assert "secret" not in lines[-1]
    finally:
        await ended(process)


async def test_a_worker_without_temporal_says_so_in_one_line(database_url: str) -> None:
    process = await started(
        "worker", REMIT_DATABASE_URL=database_url, REMIT_TEMPORAL_ADDRESS=NOWHERE, REMIT_LOG_FORMAT="json"
    )
    try:
        (output,) = map(json.loads, await lines_until(process, NOWHERE))
        assert output["event"].startswith(f"Temporal at {NOWHERE} does not answer: ")
        assert "Connection refused" in output["event"]
        assert "tonic" not in output["event"]
    finally:
        await ended(process)
