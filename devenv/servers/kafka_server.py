"""A real Kafka on 127.0.0.1, for tests: one process that is broker and controller, from Kafka's Maven package."""

# ruff: noqa: ASYNC240 - reading a local file is faster than handing it to a thread

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from devenv.errors import StackError
from devenv.processes.ports import LOCALHOST, answers, free_port, gone
from devenv.processes.process import Child, Process, Say, silent
from devenv.servers.binaries import build, cache_held, draft
from devenv.servers.time_skipping import COPY_GOAL

VERSION = "4.1.0"
NAME = f"kafka-{VERSION}"
FETCH_SECONDS = 5 * 60
FORMAT_SECONDS = 60
READY_SECONDS = 60

# Any; it marks the folder as that of one cluster.
CLUSTER = "cmVtaXQtYnJva2Vycy0wMQ"

PROJECT = f"""\
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>remit</groupId>
  <artifactId>kafka-server</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>{VERSION}</version>
    </dependency>
  </dependencies>
</project>
"""


async def kafka_jars(cache: Path, say: Say = silent) -> Path:
    """The folder with Kafka's jars, from the cache or from Maven. Raises StackError, which names what to install."""
    target = cache.expanduser().absolute() / NAME
    jars = target / "lib"
    if jars.is_dir():
        return jars
    maven = shutil.which("mvn")
    if maven is None or shutil.which("java") is None:
        raise StackError("Kafka needs `java` (17 or newer) and `mvn`, and one of them cannot be found: install both.")
    async with cache_held(target.parent, say):
        if not jars.is_dir():  # the cache's previous holder may just have made it
            with draft(target) as folder:
                (folder / "pom.xml").write_text(PROJECT)
                await build(
                    f"fetching Kafka {VERSION} by Maven",
                    [maven, "--batch-mode", COPY_GOAL, "-DoutputDirectory=lib", "-DincludeScope=runtime"],
                    folder=folder,
                    log=target.parent / f"{NAME}.log",
                    env={},
                    limit_seconds=FETCH_SECONDS,
                    say=say,
                    progress=_progress,
                )
    return jars


class KafkaServer:
    """One broker. Its folder keeps what it has confirmed: after `kill`, `start` goes on with it."""

    def __init__(self, jars: Path, folder: Path, settings: Mapping[str, object] | None = None) -> None:
        self.port = free_port()
        self._controller = free_port()
        self._jars = jars
        self._folder = folder
        self._settings = dict(settings or {})
        self._process: Process | None = None

    @property
    def url(self) -> str:
        """For `REMIT_KAFKA_URL`."""
        return f"kafka://{LOCALHOST}:{self.port}"

    async def start(self) -> None:
        """Start, and return when it serves. Raises StackError with the end of its log if it does not."""
        self._folder.mkdir(parents=True, exist_ok=True)
        config = self._folder / "server.properties"
        if not config.exists():
            config.write_text("".join(f"{name}={value}\n" for name, value in self._properties().items()))
            await build(
                "formatting Kafka's folder",
                [*self._java("64m"), "kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c", str(config)],
                folder=self._folder,
                log=self._folder / "format.log",
                env={},
                limit_seconds=FORMAT_SECONDS,
                say=silent,
                progress=_progress,
            )
        self._process = await Process.start(
            Child(
                name="kafka",
                argv=[*self._java("256m"), "kafka.Kafka", str(config)],
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
                log=self._folder / "kafka.log",
                cwd=self._folder,
                ready=self._missing,
                ready_seconds=READY_SECONDS,
                stop_seconds=20,
            )
        )

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL after 20 s."""
        if self._process is not None:
            await self._process.stop()

    async def kill(self) -> None:
        """SIGKILL, as in a crash; returns when nothing answers any more."""
        assert self._process is not None, "not started"
        self._process.kill()
        await gone(self.port)

    def _java(self, memory: str) -> list[str]:
        java = shutil.which("java")
        if java is None:
            raise StackError("Kafka needs `java`, which cannot be found: install Java 17 or newer.")
        return [java, f"-Xmx{memory}", "-XX:+UseSerialGC", "-cp", f"{self._jars}/*"]

    def _properties(self) -> dict[str, object]:
        return {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@{LOCALHOST}:{self._controller}",
            "listeners": f"PLAINTEXT://{LOCALHOST}:{self.port},CONTROLLER://{LOCALHOST}:{self._controller}",
            "advertised.listeners": f"PLAINTEXT://{LOCALHOST}:{self.port}",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "log.dirs": self._folder / "data",
            "num.partitions": 4,
            "offsets.topic.num.partitions": 4,
            "offsets.topic.replication.factor": 1,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "group.initial.rebalance.delay.ms": 0,
        } | self._settings

    async def _missing(self) -> str | None:
        return None if await answers(self.port) else f"nothing answers on port {self.port}"


def _progress(lines: Sequence[str]) -> str:
    return f"{sum('Downloaded from ' in line for line in lines)} files downloaded"
