"""An embedded Temporal server: the CLI's development server with its SQLite file, on 127.0.0.1 only.

`temporal_binary.py` finds the binary.
"""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError

from devenv.processes.ports import LOCALHOST, answers, free_port
from devenv.processes.process import Child, Process

DYNAMIC_CONFIG = {
    # By default the one history shard of this server polls its queues 20 times a second, which is most of the
    # latency of a short workflow: four activities take 450 ms by default, and 54 ms with these settings.
    "history.transferProcessorMaxPollRPS": "2000",
    "history.timerProcessorMaxPollRPS": "2000",
    "history.visibilityProcessorMaxPollRPS": "2000",
    "system.enableEagerWorkflowStart": "true",
    "matching.numTaskqueueReadPartitions": "1",
    "matching.numTaskqueueWritePartitions": "1",
}
# With SQLite's rollback journal a workflow task costs several fsyncs; with the write-ahead log one; both are as safe.
# Measured with two activities and 30 workflows in flight: 14 to 20 workflows a second with the journal, 35 with
# the log.
PRAGMAS = {"journal_mode": "wal", "synchronous": "full"}
CALL_SECONDS = 5


class TemporalServer:
    """One server, for the embedded stack (`child`) or on its own in a test (`start`, `stop`, `kill`).

    `search_attributes` maps names to types (`Keyword`, `Int`, `Bool`, …); they exist once the server is ready, even
    those that an older database file lacks. `database` None keeps everything in memory. `ui_port` None: no Web UI.
    """

    def __init__(
        self,
        binary: Path,
        *,
        log: Path,
        database: Path | None = None,
        port: int | None = None,
        ui_port: int | None = None,
        namespace: str = "default",
        search_attributes: Mapping[str, str] | None = None,
    ) -> None:
        self.port = port or free_port()
        self.ui_port = ui_port
        self._binary = binary
        self._log = log
        self._database = database
        self._namespace = namespace
        self._search_attributes = dict(search_attributes or {})
        self._process: Process | None = None

    @property
    def address(self) -> str:
        """`host:port` of the gRPC frontend."""
        return f"{LOCALHOST}:{self.port}"

    @property
    def ui_url(self) -> str | None:
        """The address of the Web UI; None without a Web UI."""
        return None if self.ui_port is None else f"http://{LOCALHOST}:{self.ui_port}"

    @property
    def pid(self) -> int:
        """The pid of the server, which is one process."""
        assert self._process is not None, "not started"
        return self._process.pid

    async def start(self) -> None:
        """Start, and return when it serves. Raises StackError with the end of its log if it does not."""
        self._process = await Process.start(self.child())

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL after 15 s."""
        if self._process is not None:
            await self._process.stop()

    def kill(self) -> None:
        """SIGKILL, as in a crash. With a `database`, `start` recovers its contents."""
        assert self._process is not None, "not started"
        self._process.kill()

    def child(self) -> Child:
        """How to run the server."""
        ui = ["--headless"] if self.ui_port is None else ["--ui-ip", LOCALHOST, "--ui-port", str(self.ui_port)]
        file = (
            [] if self._database is None else ["--db-filename", str(self._database), *_flags("sqlite-pragma", PRAGMAS)]
        )
        return Child(
            name="temporal",
            argv=[
                str(self._binary),
                *("server", "start-dev", "--ip", LOCALHOST, "--port", str(self.port), *ui, *file),
                *("--namespace", self._namespace, "--log-level", "warn", "--log-format", "json"),
                # The user's own CLI profiles must not affect this server.
                *("--disable-config-file", "--disable-config-env"),
                *_flags("dynamic-config-value", DYNAMIC_CONFIG),
                *_flags("search-attribute", self._search_attributes),
            ],
            env={name: value for name, value in os.environ.items() if not name.startswith("TEMPORAL_")},
            log=self._log,
            ready=self._missing,
            stop_seconds=15,
        )

    async def _missing(self) -> str | None:
        for port in (self.port, self.ui_port):
            if port is not None and not await answers(port):
                return f"nothing answers on port {port}"
        try:
            return await asyncio.wait_for(self._missing_inside(), CALL_SECONDS)
        except TimeoutError:
            return f"it gave no answer within {CALL_SECONDS} s"
        except (RPCError, RuntimeError) as error:  # the SDK raises RuntimeError when it cannot connect
            return str(error)

    async def _missing_inside(self) -> str | None:
        client = await Client.connect(self.address, namespace=self._namespace)
        await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=self._namespace))
        known = await client.operator_service.list_search_attributes(
            ListSearchAttributesRequest(namespace=self._namespace)
        )
        # The server registers the command line's search attributes only in a namespace that this start has created.
        new = {name: kind for name, kind in self._search_attributes.items() if name not in known.custom_attributes}
        if not new:
            return None
        request = AddSearchAttributesRequest(namespace=self._namespace)
        for name, kind in new.items():
            request.search_attributes[name] = IndexedValueType.Value(f"INDEXED_VALUE_TYPE_{kind.upper()}")
        await client.operator_service.add_search_attributes(request)
        return f"search attributes {', '.join(new)} are being registered"


def _flags(name: str, values: Mapping[str, str]) -> list[str]:
    return [part for pair in values.items() for part in (f"--{name}", "=".join(pair))]
