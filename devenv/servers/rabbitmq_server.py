"""A real RabbitMQ on 127.0.0.1, for tests: Debian's packages, unpacked into the cache and not installed."""

# ruff: noqa: ASYNC240 - reading a local file is faster than handing it to a thread

import os
import shutil
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

from devenv.errors import StackError
from devenv.processes.ports import LOCALHOST, answers, free_port, gone
from devenv.processes.process import Child, Process, Say, silent
from devenv.servers.binaries import build, cache_held, draft

NAME = "rabbitmq-debian"
FETCH_SECONDS = 5 * 60
READY_SECONDS = 90

# What rabbitmq-server depends on, beside what every Debian has.
PACKAGES = (
    "rabbitmq-server libsctp1 erlang-asn1 erlang-base erlang-crypto erlang-eldap erlang-ftp erlang-inets erlang-mnesia "
    "erlang-os-mon erlang-parsetools erlang-public-key erlang-runtime-tools erlang-snmp erlang-ssl erlang-syntax-tools "
    "erlang-tftp erlang-tools erlang-xmerl"
).split()

# Erlang's start script names the place that the package would be installed at.
UNPACK = """\
set -eu
apt-get download "$@"
mkdir unpacked
for package in *.deb; do dpkg-deb -x "$package" unpacked; echo "unpacked $package"; done
rm -- *.deb
sed -i "s|ROOTDIR=/usr/lib/erlang|ROOTDIR=$TARGET/unpacked/usr/lib/erlang|" unpacked/usr/lib/erlang/bin/erl
"""


async def rabbitmq_packages(cache: Path, say: Say = silent) -> Path:
    """The root that RabbitMQ's packages are unpacked in. Raises StackError, which says what is missing."""
    target = cache.expanduser().absolute() / NAME
    root = target / "unpacked"
    if root.is_dir():
        return root
    missing = [f"`{program}`" for program in ("apt-get", "dpkg-deb") if shutil.which(program) is None]
    if missing:
        raise StackError(
            f"RabbitMQ is taken from Debian's packages, and {' and '.join(missing)} cannot be found: run this on a "
            "Debian or Ubuntu."
        )
    async with cache_held(target.parent, say):
        if not root.is_dir():  # the cache's previous holder may just have made it
            with draft(target) as folder:
                await build(
                    "fetching RabbitMQ's packages (if this fails, `apt-get update` may help)",
                    ["sh", "-c", UNPACK, "sh", *PACKAGES],
                    folder=folder,
                    log=target.parent / f"{NAME}.log",
                    env={"TARGET": str(target), "LC_ALL": "C"},
                    limit_seconds=FETCH_SECONDS,
                    say=say,
                    progress=_progress,
                )
    return root


class RabbitMqServer:
    """One node. Its folder keeps what it has confirmed: after `kill`, `start` goes on with it."""

    def __init__(self, root: Path, folder: Path, settings: Mapping[str, object] | None = None) -> None:
        self.port = free_port()
        self._nodes = free_port()
        self._names = free_port()
        self._root = root
        self._folder = folder
        self._settings = dict(settings or {})
        self._process: Process | None = None
        self._registry: Process | None = None

    @property
    def url(self) -> str:
        """For `REMIT_RABBITMQ_URL`."""
        return f"amqp://guest:guest@{LOCALHOST}:{self.port}/"

    async def start(self) -> None:
        """Start, and return when it serves. Raises StackError with the end of its log if it does not."""
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / "enabled_plugins").write_text("[].\n")
        (self._folder / "rabbitmq.conf").write_text(
            "".join(f"{name} = {value}\n" for name, value in self._configuration().items())
        )
        if self._registry is None or not self._registry.alive:
            # Otherwise the node would start one that outlives it and listens everywhere.
            self._registry = await Process.start(self._registry_child())
        self._process = await Process.start(self._child())

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL after 20 s."""
        for process in (self._process, self._registry):
            if process is not None:
                await process.stop()

    async def kill(self) -> None:
        """SIGKILL, as in a crash; returns when nothing answers any more."""
        assert self._process is not None, "not started"
        self._process.kill()
        await gone(self.port)

    def _child(self) -> Child:
        (home,) = (self._root / "usr/lib/rabbitmq/lib").glob("rabbitmq_server-*")
        return Child(
            name="rabbitmq",
            argv=["sh", str(home / "sbin" / "rabbitmq-server")],
            env=self._environment()
            | {
                "RABBITMQ_HOME": str(home),
                "RABBITMQ_NODENAME": "remit@localhost",
                "RABBITMQ_DIST_PORT": str(self._nodes),
                "RABBITMQ_MNESIA_BASE": str(self._folder / "data"),
                "RABBITMQ_LOG_BASE": str(self._folder / "log"),
                "RABBITMQ_LOGS": "-",
                "RABBITMQ_CONFIG_FILE": str(self._folder / "rabbitmq.conf"),
                "RABBITMQ_ENABLED_PLUGINS_FILE": str(self._folder / "enabled_plugins"),
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            },
            log=self._folder / "rabbitmq.log",
            cwd=self._folder,
            ready=self._missing,
            ready_seconds=READY_SECONDS,
            stop_seconds=20,
            # The script ends the server when it is told so; killed itself, it would leave the server behind.
            orphan_signal=signal.SIGTERM,
        )

    def _registry_child(self) -> Child:
        (program,) = (self._root / "usr/lib/erlang").glob("erts-*/bin/epmd")
        return Child(
            name="epmd",
            argv=[str(program), "-address", LOCALHOST, "-port", str(self._names)],
            env=self._environment(),
            log=self._folder / "epmd.log",
            cwd=self._folder,
            ready=self._missing_registry,
        )

    def _environment(self) -> dict[str, str]:
        erlang = self._root / "usr" / "lib" / "erlang" / "bin"
        return {
            "PATH": f"{erlang}:{os.environ.get('PATH', os.defpath)}",
            "HOME": str(self._folder),
            "LC_ALL": "C.UTF-8",
            "ERL_EPMD_ADDRESS": LOCALHOST,
            "ERL_EPMD_PORT": str(self._names),
        }

    def _configuration(self) -> dict[str, object]:
        return {"listeners.tcp.default": f"{LOCALHOST}:{self.port}"} | self._settings

    async def _missing(self) -> str | None:
        return None if await answers(self.port) else f"nothing answers on port {self.port}"

    async def _missing_registry(self) -> str | None:
        return None if await answers(self._names) else f"nothing answers on port {self._names}"


def _progress(lines: Sequence[str]) -> str:
    return f"{sum(line.startswith('unpacked ') for line in lines)} of {len(PACKAGES)} packages unpacked"
