"""Composition root of an API process, with a worker in it or not, and of a worker process."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import structlog
import uvicorn

from api.app import create_app
from api.auth.tokens import Tokens
from api.http.metrics import AttentionCount
from api.services import Services
from api.staff.interventions import Interventions
from api.temporal import TemporalGateway
from api.transfers.acceptance import Acceptance
from api.transfers.completion import Completions
from api.web_ui import WebUi
from customers.postgres import Customers
from database.connections import Database
from disputes.dispute import DisputeTerms
from disputes.postgres.disputes import Disputes
from ledger.postgres.account_reads import AccountReads
from ledger.postgres.book import Book
from ledger.postgres.reversals import Reversals
from ledger.postgres.transfer_reads import TransferReads
from settings import Settings
from staff.postgres.action_log import ActionLog
from staff.postgres.operators import Operators
from staff.postgres.reversal_record import record_reversal
from staff.postgres.stats import LedgerStats
from staff.postgres.transfer_file import TransferFiles
from staff.postgres.transfer_search import TransferSearches
from worker import build_worker, connect_temporal, promotion

log = structlog.get_logger()

# What requests that are being answered get when the process is asked to stop; those that wait are woken at once.
HTTP_STOP_SECONDS = 5


class _Server(uvicorn.Server):
    """Leaves signals to us: uvicorn's own handling ends the process before its worker's steps have ended."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@dataclass(frozen=True, slots=True)
class Composed:
    """An API process, and what a worker in it tells it."""

    state: Services
    completions: Completions


def compose_api(settings: Settings, database: Database, *, with_worker: bool) -> Composed:
    """Put an API process together; `with_worker` where a worker in it will tell of the transfers it settles."""
    assert settings.jwt_secret is not None
    completions = Completions(worker_is_here=with_worker)
    book = Book(database, record_reversal, completions.announce)
    transfer_reads = TransferReads(database)
    temporal = TemporalGateway(partial(connect_temporal, settings), settings.task_queue)
    acceptance = Acceptance(temporal, transfer_reads, book, completions)
    operators = Operators(database)
    searches, files = TransferSearches(database), TransferFiles(database)
    reversals, disputes = Reversals(database), Disputes(database)
    state = Services(
        database=database,
        customers=Customers(database),
        account_reads=AccountReads(database),
        transfer_reads=transfer_reads,
        acceptance=acceptance,
        temporal=temporal,
        tokens=Tokens(settings.jwt_secret.get_secret_value(), settings.access_token_seconds),
        sandbox_rails=settings.sandbox_rails,
        operators=operators,
        transfer_searches=searches,
        transfer_files=files,
        action_log=ActionLog(database),
        stats=LedgerStats(database),
        reversals=reversals,
        disputes=disputes,
        dispute_terms=DisputeTerms(settings.dispute_window_days, settings.dispute_deadline_seconds),
        web_ui=WebUi(settings.temporal_ui_url, settings.temporal_namespace),
        steering=Interventions(acceptance, temporal, operators, searches, files, reversals, disputes),
        attention=AttentionCount(temporal),
    )
    return Composed(state, completions)


async def serve_api(settings: Settings, *, with_worker: bool) -> None:
    """Serve until SIGTERM or SIGINT. In one process with a worker, transfers start eagerly and answers come at once.

    The API answers, with 503 where it must, also while PostgreSQL or Temporal is away. Raises what ends the worker.
    """
    assert settings.database_url is not None
    # A pool each: however many steps wait for PostgreSQL, requests are answered.
    connections = settings.database_connections
    async with (
        Database(settings.database_url, connections, "remit-api") as database,
        Database(settings.database_url, connections, "remit-worker") as steps_database,
    ):
        parts = compose_api(settings, database, with_worker=with_worker)
        steps_book = Book(steps_database, record_reversal, parts.completions.announce)
        config = uvicorn.Config(
            create_app(parts.state, docs=settings.docs),
            host=settings.api_host,
            port=settings.api_port,
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=HTTP_STOP_SECONDS,
        )
        server = _Server(config)
        stop = asyncio.Event()

        def shut_down() -> None:
            # A second signal does not wait for requests that are being answered.
            server.force_exit = server.should_exit
            server.should_exit = True
            parts.completions.close()

        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, shut_down)
        running = asyncio.create_task(
            run_with_temporal(parts.state.temporal, steps_book, settings, stop, with_worker=with_worker)
        )
        running.add_done_callback(lambda _: setattr(server, "should_exit", True))
        if with_worker and settings.build_id is not None:
            log.warning("transfers that this process starts begin on its own version, whichever is current")
        log.info("api starts", host=settings.api_host, port=settings.api_port, worker=with_worker)
        await server.serve()
        stop.set()
        await running
        log.info("api stopped")


async def run_with_temporal(
    temporal: TemporalGateway, book: Book, settings: Settings, stop: asyncio.Event, *, with_worker: bool
) -> None:
    """Connect to Temporal, run the worker if there is one, and leave once `stop` is set and its steps have ended."""
    connecting = asyncio.create_task(temporal.keep_connecting())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait((connecting, stopping), return_when=asyncio.FIRST_COMPLETED)
    if not connecting.done():
        connecting.cancel()
        return
    client = await connecting
    if not with_worker:
        await stopping
        return
    async with build_worker(client, book, settings):
        log.info("worker runs", task_queue=settings.task_queue, build_id=settings.build_id)
        await stopping


async def run_worker(settings: Settings) -> None:
    """Run a worker until SIGTERM or SIGINT, then let the steps it is running end."""
    assert settings.database_url is not None
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    if settings.build_id is not None:
        log.info("new transfers come once this version is current", make_it_so=promotion(settings.build_id))
    async with Database(settings.database_url, settings.database_connections, "remit-worker") as database:
        temporal = TemporalGateway(partial(connect_temporal, settings), settings.task_queue)
        await run_with_temporal(temporal, Book(database, record_reversal), settings, stop, with_worker=True)
    log.info("worker stopped")
