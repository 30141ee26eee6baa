"""Claims about the embedded stack inside one process."""

import asyncio
import os
import signal
import socket
import stat
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil
import pytest

from devenv.errors import StackError
from devenv.home import live_run
from devenv.processes.ports import is_free
from devenv.stack import Stack
from settings import Settings

pytestmark = pytest.mark.system

Until = Callable[..., Awaitable[None]]


async def nothing_to_prepare(_database_url: str, _temporal_address: str) -> None:
    """The stand-in for the API needs no tables."""


async def test_a_dead_child_is_started_again_with_its_new_pid_in_run_json(
    settings: Settings, api_argv: list[str], until: Until
) -> None:
    output: list[str] = []
    async with Stack(settings, nothing_to_prepare, api_argv=api_argv, say=output.append).running() as running:
        before = dict(running.pids)
        assert before.keys() == {"postgres", "temporal", "api"}
        os.kill(before["api"], signal.SIGKILL)
        os.kill(before["postgres"], signal.SIGKILL)

        def both_are_back() -> bool:
            now = live_run(settings.home)
            return now is not None and not {before["api"], before["postgres"]} & set(now.pids.values())

        await until(both_are_back, "new pids in run.json")
        run = live_run(settings.home)
        assert run is not None
        assert run.pids == running.pids
        assert run.pids["temporal"] == before["temporal"]
        assert any("api (pid" in line and "killed by SIGKILL" in line for line in output)
        assert stat.S_IMODE((settings.home / "run.json").stat().st_mode) == 0o600
    assert live_run(settings.home) is None
    assert not (settings.home / "run.json").exists()


async def test_prepare_runs_when_both_servers_serve_and_its_failure_stops_them(settings: Settings) -> None:
    seen: list[str] = []
    before = servers()

    async def prepare(database_url: str, temporal_address: str) -> None:
        for address in (database_url.rsplit("@", 1)[1].removesuffix("/remit"), temporal_address):
            host, port = address.split(":")
            _, writer = await asyncio.open_connection(host, int(port))
            writer.close()
            seen.append(address)
        raise StackError("no tables")

    with pytest.raises(StackError, match="no tables"):
        async with Stack(settings, prepare).running():
            pass
    assert len(seen) == 2
    assert servers() <= before


def servers() -> set[psutil.Process]:
    """Our children that serve. Other tests may have some that live as long as the session."""
    return {p for p in psutil.Process().children(recursive=True) if p.name() in {"postgres", "temporal"}}


async def test_an_api_that_dies_at_once_is_an_error_with_its_last_lines(settings: Settings, tmp_path: Path) -> None:
    script = tmp_path / "broken.py"
    script.write_text("raise SystemExit('cannot import the API')")
    embedded_nothing = settings.model_copy(
        update={"database_url": "postgresql://remit@127.0.0.1:1/remit", "temporal_address": "127.0.0.1:1"}
    )
    argv = [sys.executable, str(script)]
    with pytest.raises(StackError, match=r"api ended while it started \(exit code 1\)[^$]*cannot import the API"):
        async with Stack(embedded_nothing, nothing_to_prepare, api_argv=argv).running():
            pass


@pytest.mark.parametrize(
    ("setting", "variable"),
    [
        ("api_port", "REMIT_API_PORT"),
        ("temporal_port", "REMIT_TEMPORAL_PORT"),
        ("temporal_ui_port", "REMIT_TEMPORAL_UI_PORT"),
    ],
)
async def test_a_taken_port_is_refused_and_names_its_holder(settings: Settings, setting: str, variable: str) -> None:
    refusal = rf"taken by .*\(pid {os.getpid()}\).* {variable} "
    with socket.create_server(("127.0.0.1", getattr(settings, setting))), pytest.raises(StackError, match=refusal):
        async with Stack(settings, nothing_to_prepare).running():
            pass


@pytest.mark.parametrize(
    ("one", "other"),
    [("api_port", "temporal_port"), ("api_port", "temporal_ui_port"), ("temporal_port", "temporal_ui_port")],
)
async def test_a_port_given_twice_is_refused_before_anything_starts(settings: Settings, one: str, other: str) -> None:
    twice = settings.model_copy(update={other: getattr(settings, one)})
    output: list[str] = []
    with pytest.raises(StackError, match=f"^REMIT_{one.upper()} and REMIT_{other.upper()} are both \\d+:"):
        async with Stack(twice, nothing_to_prepare, say=output.append).running():
            pass
    assert output == []


async def test_ports_of_servers_that_are_not_embedded_may_be_the_apis(settings: Settings, api_argv: list[str]) -> None:
    elsewhere = settings.model_copy(
        update={
            "temporal_address": "127.0.0.1:1",
            "temporal_port": settings.api_port,
            "database_url": "postgresql://remit@127.0.0.1:1/remit",
        }
    )
    async with Stack(elsewhere, nothing_to_prepare, api_argv=api_argv).running() as running:
        assert running.pids.keys() == {"api"}


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_a_port_is_probed_in_the_hosts_own_address_family(host: str) -> None:
    family = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][0]
    try:
        server = socket.create_server((host, 0), family=family)
    except OSError:
        pytest.skip(f"this machine does not listen on {host}")
    with server:
        port = server.getsockname()[1]
        assert not is_free(port, host)
    assert is_free(port, host)


@pytest.mark.parametrize(
    ("host", "shown"),
    [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::1", "[::1]"), ("::", "[::1]"), ("box", "box")],
)
def test_the_api_is_shown_at_an_address_that_can_be_opened(settings: Settings, host: str, shown: str) -> None:
    stack = Stack(settings.model_copy(update={"api_host": host}), nothing_to_prepare)
    assert stack.api_url == f"http://{shown}:{settings.api_port}"


def test_a_host_that_is_no_address_is_told() -> None:
    with pytest.raises(StackError, match=r"nowhere\.invalid is no address of this machine"):
        is_free(8000, "nowhere.invalid")


async def test_a_second_stack_on_one_home_is_refused_and_says_who_holds_it(settings: Settings) -> None:
    first, second = Stack(settings, nothing_to_prepare), Stack(settings, nothing_to_prepare)
    first.home.make()
    refusal = rf"held by .*\(pid {os.getpid()}\): stop it, or set REMIT_HOME"
    with first.home.held(), pytest.raises(StackError, match=refusal):
        async with second.running():
            pass


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
async def test_a_home_that_cannot_be_written_is_refused(settings: Settings, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StackError, match="set REMIT_HOME"):
        async with Stack(settings, nothing_to_prepare).running():
            pass


async def test_an_embedded_worker_has_no_version_whatever_the_environment_says(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one it would wait for somebody to make it current."""
    monkeypatch.setenv("REMIT_BUILD_ID", "1")
    script = tmp_path / "says_its_version.py"
    script.write_text("import os, sys; sys.exit(repr(os.environ.get('REMIT_BUILD_ID')))")
    stack = Stack(
        settings.model_copy(update={"build_id": "1"}), nothing_to_prepare, api_argv=[sys.executable, str(script)]
    )
    with pytest.raises(StackError, match=r"\| None"):
        async with stack.running():
            pass
