"""The same steps in DBOS, a library that keeps its workflows in PostgreSQL."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit

from dbos import DBOS, SetWorkflowID

from activities.notifications import NotificationSteps
from bench.systems.system import DATABASE_CONNECTIONS, Setting, Transfer
from database.connections import WORKER_ROLE, Database
from ledger.postgres.book import Book
from ledger.refusals import FraudDeclined, Refusal
from ledger.transfers import Ending, Standing, State, Step, TransferOrder
from notifications.postgres import Notifications
from screening.rules import findings_of
from screening.standard_rules import AmountThreshold
from staff.postgres.reversal_record import record_reversal

RULES = [AmountThreshold(10_000)]


@asynccontextmanager
async def durable_functions(setting: Setting) -> AsyncIterator[Mapping[str, Transfer]]:
    """`saga`: a workflow of four steps, awaited in the process that runs it."""
    async with Database(setting.database_url, DATABASE_CONNECTIONS, "bench-dbos", role=WORKER_ROLE) as database:
        book = Book(database, setting.fingerprints, record_reversal)
        notification = NotificationSteps(Notifications(book.database))
        DBOS(config={"name": "bench", "system_database_url": _beside(setting.database_url), "log_level": "WARNING"})

        run = DBOS.run_step_async

        async def saga(order: TransferOrder) -> str:
            step = Step(order.transfer_id, order.attempt, order.source_account_id)
            await run({"name": "open"}, book.open_transfer, order)
            if findings_of(order, RULES):
                await run({"name": "fail"}, book.end, Ending(step, FraudDeclined().failure), State.FAILED)
                return State.FAILED.value
            await run({"name": "debit"}, book.debit, step)
            credit = Step(order.transfer_id, order.attempt, order.destination_account_id)
            try:
                standing: Standing = await run({"name": "credit"}, book.credit, credit)
            except Refusal as refusal:
                standing = await run({"name": "refund"}, book.refund, Ending(step, refusal.failure))
            await run({"name": "notify"}, notification.notify_parties, order, standing)
            return str(standing.state.value)

        workflow = DBOS.workflow()(saga)
        DBOS.launch()
        try:

            async def transfer(order: TransferOrder) -> str:
                with SetWorkflowID(order.workflow_id):
                    return str(await workflow(order))

            yield {"saga": transfer}
        finally:
            DBOS.destroy()


def _beside(database_url: str) -> str:
    """DBOS keeps its own tables in a database beside the application's."""
    parts = urlsplit(database_url)
    return urlunsplit(parts._replace(path=f"{parts.path}_dbos"))
