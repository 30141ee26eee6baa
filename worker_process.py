"""Composition root of a worker process, and of the worker in an API process: its connections, book, start and end."""

import asyncio
import gc
import signal
from contextlib import AsyncExitStack
from functools import partial
from typing import NoReturn

import structlog
from prometheus_client import start_http_server

from api.temporal import TemporalGateway
from api.transfers.completion import Completions
from background_tasks import encrypt_plain_numbers, keep_registered, keep_totals
from database.commits import wait_for_durable_commits
from database.connections import STEPS, WORKER_ROLE, Database
from event_tasks import EventTasks
from key_rings import fingerprints_from, signatures_from
from ledger.postgres.account_queue import AccountQueues
from ledger.postgres.book import Book
from settings import Settings
from staff.fundings.postgres import record_funding
from staff.postgres.reversal_record import record_reversal
from temporal_client import connect_temporal
from trail.postgres.months import Retention
from trail.postgres.sealer import keep_trail
from worker import build_worker, promotion

log = structlog.get_logger()

# How long a process waits for the end of what it does beside its steps.
STOP_SECONDS = 3

# Objects that come before they are looked at, and how many times before those that stayed are looked at again.
COLLECT_AFTER = (20_000, 20, 20)


async def run_worker(settings: Settings) -> None:
    """Run a worker until SIGTERM or SIGINT, then wait for its running steps to end."""
    assert settings.database_url is not None
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    if settings.build_id is not None:
        log.info("new transfers start here once this version is current", command=promotion(settings.build_id))
    async with open_steps_database(settings) as database:
        if settings.metrics_port is not None:
            # In a thread of its own: it answers also while the event loop is busy.
            start_http_server(settings.metrics_port, settings.api_host)
        temporal = TemporalGateway(partial(connect_temporal, settings), settings.task_queue)
        registering = asyncio.create_task(keep_registered(temporal, settings))
        keep_out_of_collections()
        await run_until_stopped(temporal, open_book(database, settings), settings, stop, with_worker=True)
        registering.cancel()
    log.info("worker stopped")


async def run_until_stopped(
    temporal: TemporalGateway,
    book: Book,
    settings: Settings,
    stop: asyncio.Event,
    *,
    with_worker: bool,
    events: EventTasks | None = None,
) -> None:
    """Connect to both servers and run a worker, if wanted. Return once `stop` is set and the running steps have ended.

    `events` is what the worker does beside its steps; None: what every worker does. Raises `NotDurable` if PostgreSQL
    may lose what it has committed.
    """
    connecting = asyncio.create_task(temporal.keep_connecting())
    checking = asyncio.create_task(wait_for_durable_commits(book.database, sandbox=settings.sandbox_rails))
    stopping = asyncio.create_task(stop.wait())
    watches: list[asyncio.Task[NoReturn] | asyncio.Task[None]] = []
    pools = AsyncExitStack()
    events = events or EventTasks(settings)
    try:
        for task in (checking, connecting):
            await asyncio.wait((task, stopping), return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                return
            await task
        watches += [asyncio.create_task(temporal.watch()), asyncio.create_task(book.database.watch())]
        if with_worker:
            await pools.enter_async_context(events.database)
            watches.append(asyncio.create_task(keep_totals(book.database)))
            sealer = keep_trail(
                book.database,
                signatures_from(settings),
                settings.audit_folder,
                Retention(settings.audit_months, settings.request_months),
                seal_seconds=settings.audit_seal_seconds,
                export_seconds=settings.audit_export_seconds,
            )
            watches.append(asyncio.create_task(sealer))
            watches.append(asyncio.create_task(encrypt_plain_numbers(book.database, settings)))
            watches += events.begin()
        if not with_worker:
            await stopping
            return
        client = await connecting
        watches += events.begin_waking(client)
        async with (
            build_worker(client, book, settings, after_step=events.wake),
            events.delivery_worker(client),
        ):
            log.info("worker runs", task_queue=settings.task_queue, build_id=settings.build_id)
            await stopping
    finally:
        for watch in watches:
            watch.cancel()
        checking.cancel()
        connecting.cancel()
        stopping.cancel()
        if watches:
            # Each sink gives its lease back, so that the next process need not wait for its end.
            await asyncio.wait(watches, timeout=STOP_SECONDS)
        await pools.aclose()


def open_steps_database(settings: Settings) -> Database:
    """The connections of a worker's steps, as the role that may move money. Connects on first use."""
    url = settings.worker_database_url or settings.database_url
    assert url is not None
    return Database(url, settings.database_connections, "remit-worker", STEPS, role=WORKER_ROLE)


def open_book(
    database: Database,
    settings: Settings,
    completions: Completions | None = None,
    queues: AccountQueues | None = None,
) -> Book:
    """The book on these connections. With `completions`, it wakes requests that wait for a transfer it completes."""
    fingerprints, limits = fingerprints_from(settings), settings.limits()
    if completions is None:
        return Book(
            database, fingerprints, record_reversal, queues=queues, record_funding=record_funding, limits=limits
        )
    return Book(
        database,
        fingerprints,
        record_reversal,
        completions.announce,
        queues=queues,
        record_funding=record_funding,
        limits=limits,
    )


def keep_out_of_collections() -> None:
    """Spare the garbage collector what a process has once it starts: modules, routes and models stay for good.

    A full collection would look at each of these 170,000 objects, and stop the event loop for 90 ms. Later objects are
    looked at less often than Python does by itself: with the events of a batch it stopped the loop for up to 160 ms,
    and took a twelfth of the process's time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
