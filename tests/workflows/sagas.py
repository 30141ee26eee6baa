"""Runs sagas over a real ledger, with faults where a test wants them."""

import asyncio
import json
import secrets
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from temporalio.client import Client, WorkflowHandle, WorkflowHistory

from database.answers import Keep, keeps_nothing
from database.connections import Database, Unavailable
from ledger.ids import AccountId
from ledger.postgres.book import Book, Judge
from ledger.postgres.row_cache import RowCache
from ledger.refusals import LedgerConflict
from ledger.transfers import Ending, Opened, Standing, State, Step, Transfer, TransferOrder
from notifications.postgres import Notifications
from screening.rules import ScreeningRule
from settings import Settings
from staff.postgres.reversal_record import record_reversal
from tests.orders import FINGERPRINTS
from worker import build_worker
from workflows.policies import TASK_TIMEOUT
from workflows.search_attributes import search_attributes, summary
from workflows.transfer.saga import TransferWorkflow

ScreeningAnswer = TypeVar("ScreeningAnswer")
Handle = WorkflowHandle[TransferWorkflow, Standing]
Fault = Callable[[], Awaitable[None]]


class UnreliableBook(Book):
    """The real book behind a line that breaks: faults are raised, or awaited, just before or after a step."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, FINGERPRINTS, record_reversal)
        self.before: dict[str, list[Fault]] = defaultdict(list)
        self.after: dict[str, list[Fault]] = defaultdict(list)
        self.calls: list[str] = []
        self.refused: list[str] = []

    def forget_rows(self) -> None:
        """What a restarted process has cached: nothing."""
        self._cache = RowCache()

    async def through(self, name: str, step: Callable[[], Awaitable[ScreeningAnswer]]) -> ScreeningAnswer:
        self.calls.append(name)
        if self.before[name]:
            await self.before[name].pop(0)()
        try:
            answer = await step()
        except LedgerConflict:
            self.refused.append(name)
            raise
        if self.after[name]:
            await self.after[name].pop(0)()
        return answer

    async def open_transfer(self, order: TransferOrder) -> Opened:
        return await self.through("open", partial(super().open_transfer, order))

    async def debit(self, step: Step) -> Standing:
        return await self.through("debit", partial(super().debit, step))

    async def credit(self, step: Step) -> Standing:
        return await self.through("credit", partial(super().credit, step))

    async def refund(self, ending: Ending) -> Standing:
        return await self.through("refund", partial(super().refund, ending))

    async def end(self, ending: Ending, state: State, keep: Keep[Transfer] = keeps_nothing) -> Standing:
        return await self.through("end", partial(super().end, ending, state, keep))

    async def fail(self, step: Step, judge: Judge) -> Standing:
        return await self.through("end", partial(super().fail, step, judge))


class UnreliableNotifications(Notifications):
    """Notifications behind the same line: their faults are those of the step `notify` of the book."""

    def __init__(self, book: UnreliableBook) -> None:
        super().__init__(book.database)
        self._book = book

    async def write(self, step: Step, bodies: Mapping[AccountId, str]) -> None:
        await self._book.through("notify", partial(super().write, step, bodies))


async def line_breaks() -> None:
    """A fault: no answer. Before a step nothing was done; after it, nobody knows that it was."""
    raise Unavailable("the line broke")


@dataclass
class Hold:
    """A fault: the step waits at this point until it is released."""

    def __post_init__(self) -> None:
        self.reached = asyncio.Event()
        self.released = asyncio.Event()

    async def __call__(self) -> None:
        self.reached.set()
        await asyncio.wait_for(self.released.wait(), timeout=30)


@dataclass
class Sagas:
    """A worker, and what it runs on."""

    client: Client
    book: UnreliableBook
    settings: Settings

    async def start(self, order: TransferOrder) -> Handle:
        return await self.client.start_workflow(
            TransferWorkflow.run,
            order,
            id=order.workflow_id,
            task_queue=self.settings.task_queue,
            task_timeout=TASK_TIMEOUT,
            search_attributes=search_attributes(order),
            static_summary=summary(order),
        )

    async def run(self, order: TransferOrder) -> Standing:
        return await (await self.start(order)).result()


@asynccontextmanager
async def sagas(
    client: Client,
    book: UnreliableBook,
    rules: Sequence[ScreeningRule] | None = None,
    workflows: Sequence[type] | None = None,
    **changes: object,
) -> AsyncIterator[Sagas]:
    """A worker on a task queue of its own unless `changes` name one."""
    own: dict[str, object] = {"task_queue": f"test-{secrets.token_hex(6)}", "four_eyes_after_seconds": 0}
    settings = Settings().model_copy(update=own | changes)
    async with build_worker(
        client,
        book,
        settings,
        rules=rules,
        workflows=workflows,
        notifications=UnreliableNotifications(book),
    ):
        yield Sagas(client, book, settings)


def local_steps(history: WorkflowHistory) -> list[str]:
    """The names of the steps that answered as local activities, as their markers show them to operators."""
    found = [event.marker_recorded_event_attributes.details for event in history.events]
    return [json.loads(details["data"].payloads[0].data)["activity_type"] for details in found if "data" in details]


async def details(handle: WorkflowHandle[Any, Any]) -> str:
    """The current details, as the Web UI and the CLI ask for them."""
    return str(await handle.query("__temporal_workflow_metadata"))


async def builds(handle: WorkflowHandle[Any, Any]) -> list[str]:
    """The versions that completed a workflow's tasks, in the order of their first."""
    history = await handle.fetch_history()
    tasks = [event.workflow_task_completed_event_attributes for event in history.events]
    return list(dict.fromkeys(task.deployment_version.build_id for task in tasks if task.started_event_id))


async def failed_tasks(handle: WorkflowHandle[Any, Any]) -> int:
    history = await handle.fetch_history()
    return sum(event.HasField("workflow_task_failed_event_attributes") for event in history.events)
