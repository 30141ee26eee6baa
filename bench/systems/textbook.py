"""The textbook saga: the product's SQL steps as four regular activities on a worker with default settings."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from temporalio.client import Client
from temporalio.worker import Worker

from activities.notifications import NotificationSteps
from activities.transfers import TransferSteps
from bench.systems.system import DATABASE_CONNECTIONS, Setting, Transfer
from bench.systems.textbook_workflow import TextbookWorkflow
from database.connections import WORKER_ROLE, Database
from ledger.postgres.book import Book
from ledger.transfers import TransferOrder
from notifications.postgres import Notifications
from staff.postgres.reversal_record import record_reversal

TASK_QUEUE = "bench-textbook"


@asynccontextmanager
async def textbook(setting: Setting) -> AsyncIterator[Mapping[str, Transfer]]:
    """`saga`: start the workflow, wait for its result."""
    client = await Client.connect(setting.temporal_address)

    async def transfer(order: TransferOrder) -> str:
        return await client.execute_workflow(
            TextbookWorkflow.run, order, id=f"textbook/{order.workflow_id}", task_queue=TASK_QUEUE
        )

    async with Database(setting.database_url, DATABASE_CONNECTIONS, "bench-textbook", role=WORKER_ROLE) as database:
        book = Book(database, setting.fingerprints, record_reversal)
        money, notification = TransferSteps(book, 60), NotificationSteps(Notifications(book.database))
        async with Worker(
            client,
            task_queue=TASK_QUEUE,
            workflows=[TextbookWorkflow],
            activities=[
                money.open_transfer,
                money.debit_source,
                money.credit_destination,
                money.refund_source,
                money.fail_transfer,
                notification.notify_parties,
            ],
        ):
            yield {"saga": transfer}
