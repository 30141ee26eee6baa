"""The whole embedded stack: PostgreSQL, Temporal with its Web UI, and the API with its worker, in one home.

This package only runs them. The caller's `prepare` creates the tables, so no SQL is needed here.
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import combinations
from pathlib import Path

import httpx
from pydantic import SecretStr

from devenv.errors import StackError
from devenv.home import Home, RunRecord
from devenv.processes.ports import LOCALHOST, check_free
from devenv.processes.process import Child, Say, silent, unfailing
from devenv.processes.supervisor import Supervisor, end_leftovers
from devenv.servers.postgres_server import PostgresServer
from devenv.servers.temporal_binary import temporal_binary
from devenv.servers.temporal_server import TemporalServer
from settings import Settings

PROJECT = Path(__file__).resolve().parent.parent
API_ARGV = (sys.executable, "-m", "cli", "api", "--with-worker")
START_ORDER = ("postgres", "temporal", "api")
API_READY_SECONDS = 60
API_STOP_SECONDS = 25
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# `timeout` and similar programs signal the process and then its group: the second signal is no second Ctrl-C.
ECHO_SECONDS = 0.3

Prepare = Callable[[str, str], Awaitable[None]]


class Running:
    """A stack that is ready. After a restart, `pids` has the new pid."""

    def __init__(self, stack: "Stack") -> None:
        self._stack = stack
        self.api_url = stack.api_url
        self.database_url = stack.database_url
        self.temporal_address = stack.temporal_address
        self.temporal_ui_url = stack.temporal_ui_url

    @property
    def pids(self) -> Mapping[str, int]:
        """The pids of the children that run now, by name."""
        return self._stack.supervisor.pids


class Stack:
    """The stack that `settings` describe. `running` or `run_until_stopped` starts it, once.

    `prepare(database_url, temporal_address)` applies migrations: it runs once both servers are ready, before the API.
    `search_attributes` maps names to types; an embedded Temporal registers them.
    """

    def __init__(
        self,
        settings: Settings,
        prepare: Prepare,
        *,
        search_attributes: Mapping[str, str] | None = None,
        api_argv: Sequence[str] = API_ARGV,
        say: Say = silent,
    ) -> None:
        say = unfailing(say)
        self.home = Home(settings.home)
        self.supervisor = Supervisor(
            START_ORDER, record=self.home.children_file, say=say, changed=self._write_run_if_ready
        )
        everywhere = {"0.0.0.0": LOCALHOST, "::": "::1"}  # noqa: S104 - not a bind
        api_host = everywhere.get(settings.api_host, settings.api_host)
        self.api_url = f"http://{f'[{api_host}]' if ':' in api_host else api_host}:{settings.api_port}"
        self.database_url = settings.database_url or ""
        self.temporal_address = settings.temporal_address or f"{LOCALHOST}:{settings.temporal_port}"
        self.temporal_ui_url = settings.temporal_ui_url
        if settings.temporal_address is None and self.temporal_ui_url is None:
            self.temporal_ui_url = f"http://{LOCALHOST}:{settings.temporal_ui_port}"
        self._settings = settings
        self._prepare = prepare
        self._search_attributes = dict(search_attributes or {})
        self._api_argv = api_argv
        self._say = say
        self._ready = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Running]:
        """Run the stack during the block. When the block has ended, so have all its processes.

        Raises StackError when it cannot start.
        """
        self.home.make()
        with self.home.held():
            try:
                await self._start()
                self._ready = True
                self._write_run_if_ready()
                yield Running(self)
            finally:
                self._ready = False
                self.home.run_file.unlink(missing_ok=True)
                await self.supervisor.stop()

    async def run_until_stopped(self) -> None:
        """Run in the foreground until SIGINT, SIGTERM or SIGHUP, then stop cleanly; a second signal kills at once.

        Prints one line to stdout, which begins with `ready`, when every server answers. Raises StackError when the
        stack cannot start.
        """
        loop = asyncio.get_running_loop()
        stack = asyncio.create_task(self._run_forever())
        stopping: float | None = None

        def stop(received: signal.Signals) -> None:
            nonlocal stopping
            if stopping is not None:
                if loop.time() - stopping > ECHO_SECONDS:
                    self.supervisor.hurry.set()
                return
            stopping = loop.time()
            self._say(f"{received.name}: stopping (send it again to kill)")
            stack.cancel()

        # Under nohup a hangup stays ignored.
        handled = [number for number in STOP_SIGNALS if number != signal.SIGHUP or not _is_ignored(number)]
        for number in handled:
            loop.add_signal_handler(number, stop, number)
        try:
            await stack
        except asyncio.CancelledError:
            if stopping is None:
                raise
            self._say("stopped")
        finally:
            for number in handled:
                loop.remove_signal_handler(number)

    async def _run_forever(self) -> None:
        began = time.monotonic()
        async with self.running() as running:
            pages = f"pages {running.api_url}/app, " if are_pages_built() else ""
            ui = running.temporal_ui_url or "not known (REMIT_TEMPORAL_UI_URL)"
            took = f"{time.monotonic() - began:.1f} s"
            # Scripts wait for this line.
            print(  # noqa: T201
                f"ready in {took}: {pages}API {running.api_url}/docs, Temporal Web UI {ui}",
                flush=True,
            )
            await asyncio.Event().wait()

    async def _start(self) -> None:
        settings = self._settings
        await end_leftovers(self.home.children_file, self._say)
        self.home.run_file.unlink(missing_ok=True)
        self._check_ports_differ()
        check_free(settings.api_port, "REMIT_API_PORT", "the API", settings.api_host)
        if settings.temporal_address is None:
            check_free(settings.temporal_port, "REMIT_TEMPORAL_PORT", "Temporal")
            check_free(settings.temporal_ui_port, "REMIT_TEMPORAL_UI_PORT", "Temporal's Web UI")
        try:
            async with asyncio.TaskGroup() as servers:
                servers.create_task(self._start_postgres())
                servers.create_task(self._start_temporal())
        except ExceptionGroup as problems:
            raise problems.exceptions[0] from None
        await self._prepare(self.database_url, self.temporal_address)
        self._say("starting the API and its worker")
        await self.supervisor.start(self._api())

    def _check_ports_differ(self) -> None:
        """Raises StackError for a port that is given twice: `check_free` finds it free until one server has started."""
        settings = self._settings
        ports = {"REMIT_API_PORT": settings.api_port}
        if settings.temporal_address is None:
            ports |= {
                "REMIT_TEMPORAL_PORT": settings.temporal_port,
                "REMIT_TEMPORAL_UI_PORT": settings.temporal_ui_port,
            }
        for (one, port), (other, other_port) in combinations(ports.items(), 2):
            if port == other_port:
                raise StackError(f"{one} and {other} are both {port}: set one of them to another port.")

    async def _start_postgres(self) -> None:
        if self._settings.database_url is not None:
            return
        self._say("starting PostgreSQL")
        postgres = PostgresServer(self.home.postgres, log=self.home.log("postgres"), say=self._say)
        await self.supervisor.start(await postgres.child())
        self.database_url = postgres.url

    async def _start_temporal(self) -> None:
        settings = self._settings
        if settings.temporal_address is not None:
            return
        binary = await temporal_binary(settings.cache, self._say, settings.temporal_cli)
        self._say("starting Temporal")
        temporal = TemporalServer(
            binary,
            log=self.home.log("temporal"),
            database=self.home.temporal_database,
            port=settings.temporal_port,
            ui_port=settings.temporal_ui_port,
            namespace=settings.temporal_namespace,
            search_attributes=self._search_attributes,
        )
        await self.supervisor.start(temporal.child())

    def _api(self) -> Child:
        return Child(
            name="api",
            argv=self._api_argv,
            env=self._api_environment(),
            cwd=PROJECT,
            log=self.home.log("api-start"),
            ready=self._missing_api,
            ready_seconds=API_READY_SECONDS,
            stop_seconds=API_STOP_SECONDS,
        )

    def _api_environment(self) -> dict[str, str]:
        """The API's environment: ours, then the settings given in code, then the values that only the stack knows.

        It names no version: a worker with a version gets no work until an operator makes that version current.
        """
        given = {
            f"REMIT_{name.upper()}": _as_variable(getattr(self._settings, name))
            for name in self._settings.model_fields_set
            if getattr(self._settings, name) is not None
        }
        known = {
            "REMIT_DATABASE_URL": self.database_url,
            "REMIT_TEMPORAL_ADDRESS": self.temporal_address,
            "REMIT_API_PORT": str(self._settings.api_port),
            "REMIT_HOME": str(self.home.path),
            "PYTHONUNBUFFERED": "1",
        }
        if self.temporal_ui_url is not None:
            known["REMIT_TEMPORAL_UI_URL"] = self.temporal_ui_url
        if self._settings.jwt_secret is None:
            known["REMIT_JWT_SECRET"] = self.home.jwt_secret()
        if self._settings.fingerprint_keys is None:
            known["REMIT_FINGERPRINT_KEYS"] = self.home.fingerprint_key()
        if self._settings.encryption_keys is None:
            known["REMIT_ENCRYPTION_KEYS"] = self.home.encryption_key()
        if self._settings.smtp_url is None and self._settings.mail_folder is None:
            known["REMIT_MAIL_FOLDER"] = str(self.home.path / "mail")
        if self._settings.web_url is None:
            known["REMIT_WEB_URL"] = os.environ.get("REMIT_WEB_URL") or f"{self.api_url}/app"
        if self._settings.webhook_allow is None:
            known["REMIT_WEBHOOK_ALLOW"] = os.environ.get("REMIT_WEBHOOK_ALLOW", "127.0.0.1")
        # It speaks plain HTTP, where browsers keep no secure cookie.
        known.setdefault("REMIT_COOKIES_SECURE", os.environ.get("REMIT_COOKIES_SECURE", "false"))
        # The process writes its log files itself, because they rotate; what it says while it starts is caught apart.
        logs = {"REMIT_LOG_FOLDER": str(self.home.log("api").parent)}
        found = logs | {"REMIT_DOCS": "true", "REMIT_SANDBOX_RAILS": "true"} | dict(os.environ) | given | known
        found.pop("REMIT_BUILD_ID", None)
        return found

    async def _missing_api(self) -> str | None:
        # trust_env: the request must not go through a proxy that the environment names.
        async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
            try:
                answer = await client.get(f"{self.api_url}/ready")
            except httpx.HTTPError as error:
                return f"GET {self.api_url}/ready: {str(error) or type(error).__name__}"
        if answer.status_code != httpx.codes.OK:
            return f"GET {self.api_url}/ready answered {answer.status_code} {answer.text[:200]}"
        return None

    def _write_run_if_ready(self) -> None:
        if self._ready:
            self.home.write_run(
                RunRecord(
                    api_url=self.api_url,
                    temporal_address=self.temporal_address,
                    temporal_ui_url=self.temporal_ui_url,
                    database_url=self.database_url,
                    pids=self.supervisor.pids,
                )
            )


def are_pages_built() -> bool:
    """Whether the API of a stack serves the pages for people as well."""
    return (PROJECT / "web" / "dist" / "index.html").exists()


def _as_variable(value: object) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return str(value).lower() if isinstance(value, bool) else str(value)


def _is_ignored(number: signal.Signals) -> bool:
    return signal.getsignal(number) is signal.SIG_IGN
