"""Records one history per path of every workflow: `python -m tests.histories.record` (`make histories`).

Recorded histories are the promise to workflows in flight: code that cannot replay them would break those that started
before it. Keep old recordings when a workflow changes; record new ones beside them, in a folder a version.
"""

import asyncio
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from temporalio.client import Client

from database.connections import WORKER_ROLE, Database
from database.migrations import migrate
from devenv.servers.postgres_server import PostgresServer
from devenv.servers.temporal_binary import temporal_binary
from devenv.servers.temporal_server import TemporalServer
from ledger.postgres.audit import audit
from settings import Settings
from tests.histories import (
    batches,
    disputes,
    interventions,
    onboarding,
    rebuilds,
    reviews,
    standing_orders,
    statements,
    tiers,
    transfers,
    webhooks,
)
from tests.histories.stage import PATHS, Stage
from tests.orders import FINGERPRINTS
from tests.workflows.sagas import UnreliableBook, sagas
from workflows.payloads import DATA_CONVERTER
from workflows.search_attributes import SEARCH_ATTRIBUTE_TYPES

FOLDER = Path(__file__).parent / "2"

# Whoever is imported here has put its paths on the list.
TOLD_BY = (
    batches,
    transfers,
    reviews,
    interventions,
    disputes,
    onboarding,
    tiers,
    rebuilds,
    webhooks,
    standing_orders,
    statements,
)

# Temporal notes who asked; this machine and process are nobody's business.
NOBODY = "recorder"


def without_stack_traces(part: Any) -> Any:
    """They hold paths of the machine that recorded, and a replay does not read them."""
    if isinstance(part, dict):
        return {name: without_stack_traces(value) for name, value in part.items() if name != "stackTrace"}
    return [without_stack_traces(value) for value in part] if isinstance(part, list) else part


def written(history: str) -> str:
    """The recording: an event a line."""
    events = without_stack_traces(json.loads(history))["events"]
    lines = ",\n".join(json.dumps(event, separators=(",", ":")) for event in events)
    return f'{{"events":[\n{lines}\n]}}\n'


async def record(client: Client, database: Database, name: str, folder: Path) -> None:
    """Run one path on a worker of its own, and keep what Temporal has of it."""
    path = PATHS[name]
    async with sagas(client, UnreliableBook(database), rules=None, workflows=None, **path.settings) as saga:
        handle = await path.tell(await Stage.of(saga))
        await handle.result()
        history = await handle.fetch_history()
    (folder / f"{name}.json").write_text(written(history.to_json()))
    print(f"{name}: {len(history.events)} events", file=sys.stderr)


async def main() -> None:
    """Record every path anew. What was recorded before stays where one of them fails."""
    settings = Settings()
    folder = Path(tempfile.mkdtemp())
    recorded = folder / "recorded"
    recorded.mkdir()
    postgres = PostgresServer(folder / "postgres")
    temporal = TemporalServer(
        await temporal_binary(settings.cache, print, settings.temporal_cli),
        log=folder / "temporal.log",
        search_attributes=SEARCH_ATTRIBUTE_TYPES,
    )
    await asyncio.gather(postgres.start(), temporal.start())
    try:
        await migrate(postgres.url)
        client = await Client.connect(temporal.address, identity=NOBODY, data_converter=DATA_CONVERTER)
        async with Database(postgres.url, connections=10, role=WORKER_ROLE) as database:
            for name in PATHS:
                await record(client, database, name, recorded)
            found = await audit(database, FINGERPRINTS)
            assert found.clean, found.broken
        shutil.rmtree(FOLDER, ignore_errors=True)
        shutil.copytree(recorded, FOLDER)
    finally:
        await temporal.stop()
        await postgres.stop()
        shutil.rmtree(folder)


if __name__ == "__main__":
    asyncio.run(main())
