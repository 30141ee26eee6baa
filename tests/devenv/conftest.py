"""What the claims about the embedded stack share: a stand-in for the API, free ports, and waits with a limit."""

import asyncio
import inspect
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import psutil
import pytest

from devenv.processes.ports import free_port
from settings import Settings

Until = Callable[..., Awaitable[None]]

BINARIES = {"REMIT_CACHE", "REMIT_TEMPORAL_CLI"}

STAND_IN = """
import http.server, os

class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass

http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["REMIT_API_PORT"])), Ready).serve_forever()
"""


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """Not pytest's own: every session that starts closes those to other users, and PostgreSQL may run as one."""
    with tempfile.TemporaryDirectory(prefix="remit-test-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture
def api_argv(tmp_path: Path) -> list[str]:
    """Runs something that answers 200 to everything on REMIT_API_PORT."""
    script = tmp_path / "stand_in_api.py"
    script.write_text(STAND_IN)
    return [sys.executable, str(script)]


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A home and ports of this test's own; of the environment, only where the servers' binaries are."""
    for name in [name for name in os.environ if name.startswith("REMIT_") and name not in BINARIES]:
        monkeypatch.delenv(name)
    ports: set[int] = set()
    while len(ports) < 3:
        ports.add(free_port())
    api, temporal, ui = ports
    return Settings.model_validate(
        {
            "home": tmp_path / "home",
            "api_port": api,
            "temporal_port": temporal,
            "temporal_ui_port": ui,
        }
    )


@pytest.fixture
def until() -> Until:
    """Wait for a condition, with a limit that fails the test."""

    async def wait(condition: Callable[[], object], what: str, seconds: float = 20) -> None:
        limit = time.monotonic() + seconds
        while True:
            held = condition()
            if await held if inspect.isawaitable(held) else held:
                return
            assert time.monotonic() < limit, f"not within {seconds} s: {what}"
            await asyncio.sleep(0.02)

    return wait


@pytest.fixture
def alive() -> Callable[[int], bool]:
    """Whether a process runs; a zombie, which a container without an init may keep, does not."""

    def is_alive(pid: int) -> bool:
        try:
            return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    return is_alive
