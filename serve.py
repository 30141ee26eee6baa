"""Composition root of an API process, with a worker in it or not, and of a worker process."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import structlog
import uvicorn

from api.acceptance import Acceptance
from api.app import create_app
from api.engine import Engine
from api.gauges import AttentionCount
from api.settling import Settlements
from api.state import State
from api.steering import Steering
from api.tokens import Tokens
from api.web_ui import WebUi
from ledger.disputes import DisputeTerms
from ledger.postgres.book import Book
from ledger.postgres.customers import Customers
from ledger.postgres.database import Database
from ledger.postgres.disputes import Disputes
from ledger.postgres.operators import Operators
from ledger.postgres.oversight import Oversight
from ledger.postgres.reversals import Reversals
from ledger.postgres.statements import Statements
from settings import Settings
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

    state: State
    settlements: Settlements


def compose_api(settings: Settings, database: Database, *, with_worker: bool) -> Composed:
    """Put an API process together; `with_worker` where a worker in it will tell of the transfers it settles."""
    assert settings.jwt_secret is not None
    settlements = Settlements(worker_is_here=with_worker)
    book = Book(database, settlements.announce)
    statements = Statements(database)
    engine = Engine(partial(connect_temporal, settings), settings.task_queue)
    acceptance = Acceptance(engine, statements, book, settlements)
    operators, oversight = Operators(database), Oversight(database)
    reversals, disputes = Reversals(database), Disputes(database)
    state = State(
        database=database,
        customers=Customers(database),
        statements=statements,
        acceptance=acceptance,
        engine=engine,
        tokens=Tokens(settings.jwt_secret.get_secret_value(), settings.access_token_seconds),
        sandbox_rails=settings.sandbox_rails,
        operators=operators,
        oversight=oversight,
        reversals=reversals,
        disputes=disputes,
        dispute_terms=DisputeTerms(settings.dispute_window_days, settings.dispute_deadline_seconds),
        web_ui=WebUi(settings.temporal_ui_url, settings.temporal_namespace),
        steering=Steering(acceptance, engine, operators, oversight, reversals, disputes),
        attention=AttentionCount(engine),
    )
    return Composed(state, settlements)


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
        steps_book = Book(steps_database, parts.settlements.announce)
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
            parts.settlements.close()

        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, shut_down)
        running = asyncio.create_task(
            run_engine(parts.state.engine, steps_book, settings, stop, with_worker=with_worker)
        )
        running.add_done_callback(lambda _: setattr(server, "should_exit", True))
        if with_worker and settings.build_id is not None:
            log.warning("transfers that this process starts begin on its own version, whichever is current")
        log.info("api starts", host=settings.api_host, port=settings.api_port, worker=with_worker)
        await server.serve()
        stop.set()
        await running
        log.info("api stopped")


async def run_engine(engine: Engine, book: Book, settings: Settings, stop: asyncio.Event, *, with_worker: bool) -> None:
    """Connect to Temporal, run the worker if there is one, and leave once `stop` is set and its steps have ended."""
    connecting = asyncio.create_task(engine.keep_connecting())
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
        engine = Engine(partial(connect_temporal, settings), settings.task_queue)
        await run_engine(engine, Book(database), settings, stop, with_worker=True)
    log.info("worker stopped")
