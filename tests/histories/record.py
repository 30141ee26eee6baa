"""Records one history per path of the saga: `python -m tests.histories.record` (`make histories`).

Recorded histories are the promise to transfers in flight: code that cannot replay them would break transfers that
started before it. Keep old recordings when a workflow changes; record new ones beside them, in a folder a version.
"""

import asyncio
import json
import shutil
import sys
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from temporalio.client import Client

from devenv.postgres import Postgres
from devenv.temporal import Temporal
from devenv.temporal_binary import temporal_binary
from ledger.accounts import AccountStatus
from ledger.ids import WORLD
from ledger.postgres.audit import audit
from ledger.postgres.customers import Customers
from ledger.postgres.database import Database
from ledger.postgres.migrations import migrate
from ledger.transfers import TransferOrder
from settings import Settings
from tests.orders import Holder, funded, holder, order
from tests.workflows.sagas import Handle, Hold, Sagas, UnreliableBook, line_breaks, sagas
from workflows.visibility import SEARCH_ATTRIBUTE_TYPES

FOLDER = Path(__file__).parent / "1"


class Paths:
    """Each method runs one path of the saga to its end and answers with the workflow's handle."""

    def __init__(self, saga: Sagas, ada: Holder, ben: Holder) -> None:
        self._saga = saga
        self._ada = ada
        self._ben = ben

    async def completed(self) -> Handle:
        return await self._saga.start(self._order(100))

    async def deposit(self) -> Handle:
        return await self._saga.start(order(self._ben.id, WORLD, self._ben.account_id, 100))

    async def repeated_transaction_id(self) -> Handle:
        for _ in range(2):
            handle = await self._saga.start(
                order(self._ben.id, WORLD, self._ben.account_id, 100, transaction_id="bank-1")
            )
            await handle.result()
        return handle

    async def insufficient_funds(self) -> Handle:
        return await self._saga.start(self._order(900_000))

    async def declined_by_screening(self) -> Handle:
        rich = await funded(Customers(self._saga.book._database), self._saga.book, 1_000_000)  # noqa: SLF001
        return await self._saga.start(order(rich.id, rich.account_id, self._ben.account_id, 1_000_000))

    async def refused_by_the_debit(self) -> Handle:
        async def freeze() -> None:
            await self._saga.book.set_account_status(self._ada.account_id, AccountStatus.FROZEN)

        self._saga.book.before["debit"].append(freeze)
        return await self._saga.start(self._order(100))

    async def compensated(self) -> Handle:
        async def freeze() -> None:
            await self._saga.book.set_account_status(self._ben.account_id, AccountStatus.FROZEN)

        self._saga.book.before["credit"].append(freeze)
        return await self._saga.start(self._order(100))

    async def every_step_in_doubt(self) -> Handle:
        for step in ("open", "debit", "credit", "notify"):
            self._saga.book.after[step] += [line_breaks] * 2
        return await self._saga.start(self._order(100))

    async def refund_in_doubt(self) -> Handle:
        self._saga.book.before["refund"] += [line_breaks] * 2
        return await self.compensated()

    async def cancelled_before_its_debit(self) -> Handle:
        return await self._cancelled_during("open")

    async def cancelled_during_its_debit(self) -> Handle:
        return await self._cancelled_during("debit")

    async def cancelled_too_late(self) -> Handle:
        return await self._cancelled_during("credit")

    async def cancelled_while_notifying(self) -> Handle:
        return await self._cancelled_during("notify")

    async def met_in_transit(self) -> Handle:
        wanted = self._order(100)
        first = await self._saga.start(wanted)
        await first.result()
        return await self._saga.start(_elsewhere(wanted))

    def _order(self, amount_minor: int) -> TransferOrder:
        return order(self._ada.id, self._ada.account_id, self._ben.account_id, amount_minor)

    async def _cancelled_during(self, step: str) -> Handle:
        hold = Hold()
        self._saga.book.before[step] += [line_breaks, hold]
        handle = await self._saga.start(self._order(100))
        await hold.reached.wait()
        await handle.cancel()
        hold.released.set()
        return handle


def _elsewhere(wanted: TransferOrder) -> TransferOrder:
    return replace(wanted, workflow_id=f"{wanted.workflow_id}/again")


def paths_of(paths: Paths) -> dict[str, Callable[[], Awaitable[Handle]]]:
    """The paths by name, in the order they are written above."""
    return {name: getattr(paths, name) for name in vars(Paths) if not name.startswith("_")}


def without_stack_traces(part: Any) -> Any:
    """They hold paths of the machine that recorded, and a replay does not read them."""
    if isinstance(part, dict):
        return {name: without_stack_traces(value) for name, value in part.items() if name != "stackTrace"}
    return [without_stack_traces(value) for value in part] if isinstance(part, list) else part


async def main() -> None:
    """Record every path anew."""
    settings = Settings()
    folder = Path(tempfile.mkdtemp())
    postgres = Postgres(folder / "postgres")
    temporal = Temporal(
        await temporal_binary(settings.cache, print, settings.temporal_cli),
        log=folder / "temporal.log",
        search_attributes=SEARCH_ATTRIBUTE_TYPES,
    )
    await asyncio.gather(postgres.start(), temporal.start())
    try:
        await migrate(postgres.url)
        client = await Client.connect(temporal.address)
        shutil.rmtree(FOLDER, ignore_errors=True)
        FOLDER.mkdir()
        async with Database(postgres.url, connections=10) as database:
            book, customers = UnreliableBook(database), Customers(database)
            async with sagas(client, book) as saga:
                for name in paths_of(Paths(saga, *[await holder(customers)] * 2)):
                    paths = Paths(saga, await funded(customers, book, 500_000), await holder(customers))
                    handle = await paths_of(paths)[name]()
                    await handle.result()
                    history = await handle.fetch_history()
                    recorded = without_stack_traces(json.loads(history.to_json()))
                    (FOLDER / f"{name}.json").write_text(json.dumps(recorded, indent=1) + "\n")
                    print(f"{name}: {len(history.events)} events", file=sys.stderr)
            assert (await audit(database)).clean
    finally:
        await temporal.stop()
        await postgres.stop()
        shutil.rmtree(folder)


if __name__ == "__main__":
    asyncio.run(main())
