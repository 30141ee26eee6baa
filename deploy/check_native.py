"""Proof that the deployment works, on a machine without containers: `python -m deploy.check_native`.

Runs what `docker-compose.yml` runs, as plain processes on 127.0.0.1: the same commands, scripts and environment, read
from that file; only host names, ports and folders differ. Then moves money over HTTP, kills a worker in the middle,
and checks the books. Exit code 0: every check passed.

Needs Go for the Temporal server (built once per machine, into `REMIT_CACHE`) and a PostgreSQL server with its contrib
modules, which Temporal's schema needs: the newest one that is installed, or the one in `--postgres-bin`.
"""

# ruff: noqa: ASYNC240 - reading a local file is faster than handing it to a thread

import argparse
import asyncio
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml

from deploy.native_scenario import Scenario, ScenarioError
from devenv.errors import StackError
from devenv.processes.ports import LOCALHOST, free_port
from devenv.processes.process import Child, OsAccount, Process
from devenv.servers.binaries import build, cache_held, draft, executable
from devenv.servers.os_accounts import account_for, let_read, let_through
from devenv.servers.temporal_binary import temporal_binary
from settings import Settings

PROJECT = Path(__file__).resolve().parent.parent
COMPOSE = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())["services"]
TEMPORAL_SERVER = re.fullmatch(r"temporalio/server:(.+)", COMPOSE["temporal"]["image"])
# As with `--scale api=2`.
API_PROCESSES = (1, 2)
BUILD_SECONDS = 20 * 60
JOB_SECONDS = 120
# `${NAME:?message}` and `${NAME:-default}`
VARIABLE = re.compile(r"\$\{(?P<name>\w+):(?P<kind>[?-])(?P<text>[^}]*)\}")


def say(line: str) -> None:
    """Print a line with the time."""
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)  # noqa: T201 - what this script is for


# The compose file has PostgreSQL 18, which knows this function; the machine's own may be older.
UUIDV7 = """
    DO $do$ BEGIN
        IF current_setting('server_version_num')::int < 180000 THEN
            CREATE FUNCTION public.uuidv7() RETURNS uuid LANGUAGE sql VOLATILE AS $$
                SELECT encode(set_byte(overlay(uuid_send(gen_random_uuid()) PLACING substring(
                    int8send((extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3) FROM 1 FOR 6),
                    6, 112), 'hex')::uuid
            $$;
        END IF;
    END $do$
"""


class Deployment:
    """The services of `docker-compose.yml` as processes in one folder; `postgres_bin` holds the server's programs."""

    def __init__(self, folder: Path, programs: Path, postgres_bin: Path) -> None:
        self.folder = folder
        self._programs = programs
        self._postgres_bin = postgres_bin
        self._secrets: dict[str, str] = {}
        self._ports = {name: free_port() for name in ("postgres", *(f"api {number}" for number in API_PROCESSES))}
        self._temporal_ports = {
            f"TEMPORAL_{service}_{kind}": str(free_port())
            for service in ("FRONTEND", "HISTORY", "MATCHING", "WORKER")
            for kind in ("PORT", "MEMBERSHIP_PORT")
        }

    def api_url(self, number: int) -> str:
        """The address of one of the API's processes."""
        return f"http://{LOCALHOST}:{self._ports[f'api {number}']}"

    def environment(self, service: str, number: int = 1) -> dict[str, str]:
        """The environment of the service's container with this number, with this machine's addresses."""
        found = {name: self._here(str(value)) for name, value in COMPOSE[service].get("environment", {}).items()}
        own = {"PATH": f"{self._programs}:{self._postgres_bin}:{os.environ['PATH']}", "HOME": str(self.folder)}
        for name in ("PGHOST", "SQL_HOST"):
            if name in found:
                own |= {name: found[name].replace("postgres", LOCALHOST)}
        if "PGHOST" in found:
            own["PGPORT"] = str(self._ports["postgres"])
        if "SQL_PORT" in found:
            own["SQL_PORT"] = str(self._ports["postgres"])
        if service == "temporal":
            own |= self._temporal_ports | {"TEMPORAL_BIND_IP": LOCALHOST}
        if service == "api":
            own |= {"REMIT_API_HOST": LOCALHOST, "REMIT_API_PORT": str(self._ports[f"api {number}"])}
        if "REMIT_METRICS_PORT" in found:  # each container has an address of its own, and these share one
            own["REMIT_METRICS_PORT"] = str(self._ports.setdefault(f"metrics {service} {number}", free_port()))
        return found | own

    def argv(self, service: str) -> list[str]:
        """The command of the service; the image's entry point is `remit`."""
        parts = [*COMPOSE[service].get("entrypoint", []), *COMPOSE[service].get("command", [])]
        if COMPOSE[service]["image"].startswith("remit:"):
            return [sys.executable, "-m", "cli", *parts]
        found = [self._here(part) for part in parts]
        return [shutil.which(found[0], path=self.environment(service)["PATH"]) or found[0], *found[1:]]

    async def run(self, service: str, *argv: str, typed: str = "") -> str:
        """Run a job, or another command in its environment, to its end. Returns its output. Raises StackError."""
        command = argv or tuple(self.argv(service))
        done = await asyncio.to_thread(
            subprocess.run,
            list(command),
            env=self.environment(service),
            cwd=PROJECT,
            input=typed,
            capture_output=True,
            text=True,
            timeout=JOB_SECONDS,
            check=False,
        )
        output = (done.stdout + done.stderr).strip()
        (self.folder / f"{service}.log").write_text(output)
        if done.returncode:
            lines = "\n".join(f"  | {line[:400]}" for line in output.splitlines()[-20:])
            raise StackError(f"{service} failed with exit code {done.returncode}.\n{lines}")
        return output

    def child(self, service: str, number: int = 1) -> Child:
        """How to run a long-lived service."""
        return Child(
            name=f"{service} {number}",
            argv=self.argv(service),
            env=self.environment(service, number),
            log=self.folder / f"{service}-{number}.log",
            cwd=PROJECT,
            ready=lambda: self._missing(service, number),
            ready_seconds=120,
            stop_seconds=float(COMPOSE[service]["stop_grace_period"].removesuffix("s")),
        )

    async def postgres(self) -> Child:
        """How to run PostgreSQL, on a new cluster with the same superuser and password as in the image."""
        data, password = self.folder / "postgres", self.folder / "password"
        account = account_for(data)
        data.mkdir(mode=0o700)
        password.write_text(self._secret("POSTGRES_PASSWORD"))
        if account is not None:
            for path in (data, password):
                os.chown(path, account.uid, account.gid)
            let_through(data, account, say)
            let_through(self._postgres_bin, account, say)
            if not self._postgres_bin.is_relative_to("/usr"):
                let_read(self._postgres_bin.parent, account)
        initdb = [str(self._postgres_bin / "initdb"), "-D", str(data), "-U", "postgres", "--pwfile", str(password)]
        await asyncio.to_thread(_run_as, [*initdb, "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"], account)
        options = [self._here(part) for part in COMPOSE["postgres"]["command"][1:]]
        options += ["-c", f"listen_addresses={LOCALHOST}", "-c", "unix_socket_directories="]
        return Child(
            name="postgres",
            argv=[str(self._postgres_bin / "postgres"), "-D", str(data), "-p", str(self._ports["postgres"]), *options],
            env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
            log=self.folder / "postgres.log",
            cwd=Path("/"),
            ready=self._postgres_missing,
            stop_seconds=30,
            account=account,
        )

    async def _postgres_missing(self) -> str | None:
        try:
            await self.run("databases", "psql", "--no-psqlrc", "--quiet", "--command", "SELECT 1")
        except StackError as error:  # it listens for some time before it answers
            return str(error)
        return None

    async def _missing(self, service: str, number: int) -> str | None:
        """Runs the compose file's health check. Workers share a host name here, so one that polls passes for all."""
        check = [self._here(part) for part in COMPOSE[service]["healthcheck"]["test"][1:]]
        if check[0] == "python":
            check[0] = sys.executable
        asked = await asyncio.create_subprocess_exec(
            *check,
            env=self.environment(service, number),
            cwd=PROJECT,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await asked.communicate()
        return None if asked.returncode == 0 else " ".join(output.decode().split())[-300:] or "unhealthy"

    def _here(self, text: str) -> str:
        text = VARIABLE.sub(
            lambda found: found["text"] if found["kind"] == "-" else self._secret(found["name"]),
            text,
        )
        text = text.replace("postgres:5432", f"{LOCALHOST}:{self._ports['postgres']}")
        frontend = f"{LOCALHOST}:{self._temporal_ports['TEMPORAL_FRONTEND_PORT']}"
        text = text.replace("temporal:7233", frontend).replace("127.0.0.1:7233", frontend)
        return re.sub(r"^/etc/remit\b", str(PROJECT / "deploy"), text)

    def _secret(self, name: str) -> str:
        """A secret as `openssl rand -hex 32` makes it, the same during the whole run."""
        return self._secrets.setdefault(name, secrets.token_hex(32))


async def temporal_programs(settings: Settings, folder: Path) -> Path:
    """A folder with `temporal-server` and `temporal-sql-tool`, built from their Go module, and `temporal`."""
    assert TEMPORAL_SERVER is not None, "docker-compose.yml names another image"
    version = TEMPORAL_SERVER[1]
    cached = settings.cache.expanduser().absolute() / f"temporal-server-{version}"
    async with cache_held(cached.parent, say):
        if not (executable(cached / "server") and executable(cached / "sql")):
            await _build_temporal(version, cached)
    folder.mkdir()
    (folder / "temporal-server").symlink_to(cached / "server")
    (folder / "temporal-sql-tool").symlink_to(cached / "sql")
    (folder / "temporal").symlink_to(await temporal_binary(settings.cache, say, settings.temporal_cli))
    return folder


async def _build_temporal(version: str, cached: Path) -> None:
    go = shutil.which("go")
    if go is None:
        raise StackError("Install Go: the Temporal server is built from its module here.")
    say(f"building the Temporal server {version} into {cached}: about 2 minutes, once per machine")
    module = "go.temporal.io/server/cmd"
    with draft(cached) as folder:
        await build(
            f"building the Temporal server {version}",
            [go, "install", "-v", f"{module}/server@v{version}", f"{module}/tools/sql@v{version}"],
            folder=folder,
            log=cached.with_suffix(".log"),
            env={"GOBIN": str(folder)},
            limit_seconds=BUILD_SECONDS,
            say=say,
            progress=lambda lines: lines[-1] if lines else "starting",
        )


def postgres_programs(named: Path | None) -> Path:
    """The programs of a PostgreSQL server that has the module `btree_gin`. Raises StackError without one."""
    places = [named] if named else sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version, reverse=True)
    if not named and (config := shutil.which("pg_config")):
        places.append(Path(config).resolve().parent)
    for place in places:
        shares = (place.parent / "share", Path("/usr/share/postgresql") / place.parent.name)
        if executable(place / "initdb") and any(next(share.rglob("btree_gin.control"), None) for share in shares):
            return place.absolute()
    raise StackError(
        "No PostgreSQL server with its contrib modules was found: install one (Debian: postgresql), "
        "or name the folder of its programs with --postgres-bin."
    )


def _version(path: Path) -> int:
    return int(re.sub(r"\D", "", path.parent.name) or 0)


def _run_as(argv: Sequence[str], account: OsAccount | None) -> None:
    done = subprocess.run(  # noqa: S603 - our own command
        argv,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
        cwd="/",
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
        capture_output=True,
        text=True,
        timeout=JOB_SECONDS,
        check=False,
    )
    if done.returncode:
        raise StackError(f"{Path(argv[0]).name} failed: {done.stderr.strip()[-400:]}")


@asynccontextmanager
async def running(*children: Child) -> AsyncIterator[list[Process]]:
    """Run the children during the block. Each is ready before the next one starts; they stop in reverse order."""
    processes: list[Process] = []
    try:
        for child in children:
            processes.append(await Process.start(child))
            say(f"{child.name} is healthy after {processes[-1].lived_seconds:.1f} s (pid {processes[-1].pid})")
        yield processes
    finally:
        for process in reversed(processes):
            await process.stop()
            say(f"{process.child.name}: {process.how_it_ended()}")


async def job(deployment: Deployment, service: str) -> None:
    """Run a job twice, because each `docker compose up` runs it again."""
    began = time.monotonic()
    await deployment.run(service)
    await deployment.run(service)
    say(f"{service}: done, and again, in {time.monotonic() - began:.1f} s")


async def check(folder: Path, postgres_bin: Path) -> None:
    """Check the whole deployment, in the order that the compose file requires. Raises StackError or ScenarioError."""
    deployment = Deployment(folder, await temporal_programs(Settings(), folder / "bin"), postgres_bin)
    async with running(await deployment.postgres()):
        await job(deployment, "databases")
        await job(deployment, "temporal-schema")
        async with running(deployment.child("temporal")):
            await job(deployment, "temporal-namespace")
            await deployment.run("databases", "psql", "--no-psqlrc", "--quiet", "--dbname=remit", f"--command={UUIDV7}")
            await job(deployment, "migrate")
            apis = [sandbox(deployment.child("api", number)) for number in API_PROCESSES]
            async with running(*apis, *(deployment.child("worker", number) for number in (1, 2))) as processes:
                try:
                    async with (
                        httpx.AsyncClient(base_url=deployment.api_url(1), timeout=40) as client,
                        httpx.AsyncClient(base_url=deployment.api_url(2), timeout=40) as another,
                    ):
                        await Scenario(client, another, say).run(kill_worker=processes[len(apis)].kill)
                    await people(deployment)
                finally:
                    books = await deployment.run("api", sys.executable, "-m", "cli", "verify")
                    for line in books.splitlines():
                        say(f"verify | {line}")


async def people(deployment: Deployment) -> None:
    """What people run in the deployment: the first admin, the books, and the tools. Raises StackError."""
    remit = (sys.executable, "-m", "cli")
    admin = ("admin", "create", "--email", "ops@example.com", "--full-name", "Olu Ade", "--password-stdin")
    say(await deployment.run("migrate", *remit, *admin, typed=f"{secrets.token_urlsafe(16)}\n"))
    for line in (await deployment.run("operator", *deployment.argv("operator"))).splitlines():
        say(f"status | {line}")
    for tool, *arguments in (
        ("psql", "--no-psqlrc", "--command", "SELECT state, count(*) FROM transfers GROUP BY state"),
        ("temporal-cli", "schedule", "describe", "--schedule-id", "recovery"),
    ):
        await deployment.run(tool, *deployment.argv(tool), *arguments)
        say(f"{tool}: answered")


def sandbox(api: Child) -> Child:
    """The API with deposits that customers make themselves, as with `REMIT_SANDBOX_RAILS=true` in `.env`."""
    env: Mapping[str, Any] = api.env
    return Child(**{**vars(api), "env": {**env, "REMIT_SANDBOX_RAILS": "true"}})


def main() -> None:
    """Parse the command line, run the check, report the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--postgres-bin", type=Path, help="folder with initdb and postgres")
    arguments = parser.parse_args()
    began, folder = time.monotonic(), Path(tempfile.mkdtemp(prefix="remit-deploy-"))
    try:
        asyncio.run(check(folder, postgres_programs(arguments.postgres_bin)))
    except (StackError, ScenarioError) as error:
        say(f"FAILED: {error}")
        say(f"logs are in {folder}")
        raise SystemExit(1) from None
    shutil.rmtree(folder)
    say(f"every check passed, in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
