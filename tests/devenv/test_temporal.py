"""Claims about the embedded Temporal server."""

from pathlib import Path

import psutil
import pytest
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.client import Client

from devenv.processes.ports import free_port
from devenv.processes.process import silent
from devenv.servers.temporal_binary import temporal_binary
from devenv.servers.temporal_server import TemporalServer
from settings import Settings


@pytest.mark.system
async def test_temporal_keeps_its_file_and_takes_new_search_attributes(tmp_path: Path, settings: Settings) -> None:
    binary = await temporal_binary(settings.cache, silent, settings.temporal_cli)

    def server(**search_attributes: str) -> TemporalServer:
        file, log = tmp_path / "temporal.db", tmp_path / "temporal.log"
        return TemporalServer(binary, log=log, database=file, ui_port=free_port(), search_attributes=search_attributes)

    first = server(RemitState="Keyword")
    await first.start()
    listening = [c.laddr[0] for c in psutil.Process(first.pid).net_connections() if c.status == psutil.CONN_LISTEN]
    first.kill()
    assert set(listening) == {"127.0.0.1"}

    second = server(RemitState="Keyword", RemitAmountMinor="Int")
    await second.start()
    try:
        client = await Client.connect(second.address)
        known = await client.operator_service.list_search_attributes(ListSearchAttributesRequest(namespace="default"))
        assert {"RemitState", "RemitAmountMinor"} <= set(known.custom_attributes)
    finally:
        await second.stop()
