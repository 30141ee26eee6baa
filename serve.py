"""Composition root of an API process, with or without a worker in it."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import structlog
import uvicorn
from starlette.types import ASGIApp

from api.http.connection_limits import IDLE_SECONDS, LimitedConnection
from api.http.middleware import MAX_BODY_BYTES
from api.live.socket_connection import LimitedSocket
from api.pages.built_pages import BuiltPages
from api_services import compose_api
from background_tasks import keep_registered
from customers.sign_ins.networks import trusted_networks
from database.commits import check_commits
from database.connections import LISTS, REQUESTS, Database, Unavailable
from event_tasks import EventTasks
from setting_groups.value_lists import texts_in
from settings import Settings
from worker_process import keep_out_of_collections, open_book, open_steps_database, run_until_stopped

log = structlog.get_logger()

# When the process stops, requests in progress get this time. Those that wait for a transfer are answered at once.
HTTP_STOP_SECONDS = 5

# Of an API process: one to listen, one for what is new, and one for what subscribers missed.
HUB_CONNECTIONS = 3


class _Server(uvicorn.Server):
    """Leaves signals to `serve_api`: uvicorn would end the process before the steps of its worker end."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def http_server(app: ASGIApp, host: str, port: int) -> uvicorn.Server:
    """A server for this application, with the limits of its connections and sockets for each client."""
    return _Server(
        uvicorn.Config(
            app,
            host=host,
            port=port,
            http=LimitedConnection,
            ws=LimitedSocket,
            ws_max_size=MAX_BODY_BYTES,
            ws_per_message_deflate=False,
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            # The application reads these headers itself, of the proxies that the settings name.
            proxy_headers=False,
            timeout_keep_alive=IDLE_SECONDS,
            timeout_graceful_shutdown=HTTP_STOP_SECONDS,
        )
    )


async def serve_api(
    settings: Settings, *, with_worker: bool, event_tasks: Callable[[Settings], EventTasks] = EventTasks
) -> None:
    """Serve until SIGTERM or SIGINT. With a worker in the same process, transfers start eagerly and end sooner.

    `event_tasks` makes what the worker does beside its steps. The API starts, and answers with 503 where it must, while
    PostgreSQL or Temporal does not answer. Raises the error that ends the worker.
    """
    # A worker alone does not need it, and it takes a second to load.
    from api.app import create_app, create_metrics_app  # noqa: PLC0415

    assert settings.database_url is not None
    # A pool each: requests get connections however many steps wait for one, and however many lists are read.
    connections = settings.database_connections
    async with (
        Database(settings.database_url, connections, "remit-api", REQUESTS) as database,
        open_steps_database(settings) as steps_database,
        Database(
            settings.database_url, settings.report_connections, "remit-reports", REQUESTS, session=LISTS
        ) as reports,
        Database(settings.database_url, HUB_CONNECTIONS, "remit-hub", REQUESTS) as live,
    ):
        with suppress(Unavailable):  # then it answers 503, and `run_until_stopped` goes on asking
            await check_commits(database, sandbox=settings.sandbox_rails)
        process = compose_api(settings, database, with_worker=with_worker, reports=reports, live=live)
        # Without a worker nothing takes a step, and the login of the API could not become a worker.
        steps_book = open_book(
            steps_database if with_worker else database, settings, process.completions, process.queues
        )
        app = create_app(
            process.services,
            docs=settings.docs,
            proxies=trusted_networks(settings.trusted_proxies or ""),
            metrics=settings.metrics_port is None,
            origins=texts_in(settings.cors_origins),
            pages=(pages := BuiltPages.read()),
        )
        server = http_server(app, settings.api_host, settings.api_port)
        stop = asyncio.Event()

        def shut_down() -> None:
            # A second signal does not wait for requests in progress.
            server.force_exit = server.should_exit
            server.should_exit = True
            process.completions.close()
            process.services.hub.close()

        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, shut_down)
        running = asyncio.create_task(
            run_until_stopped(
                process.services.temporal,
                steps_book,
                settings,
                stop,
                with_worker=with_worker,
                events=event_tasks(settings) if with_worker else None,
            )
        )
        running.add_done_callback(lambda _: setattr(server, "should_exit", True))
        registering = asyncio.create_task(keep_registered(process.services.temporal, settings))
        counting = asyncio.create_task(process.services.rate_limits.keep_sharing())
        recording = asyncio.create_task(process.services.request_queue.keep_writing())
        following = asyncio.create_task(process.services.hub.keep_following())
        admitting = asyncio.create_task(process.services.admission.keep_checking())
        measured: asyncio.Task[None] | None = None
        if settings.metrics_port is not None:
            collectors = http_server(create_metrics_app(process.services), settings.api_host, settings.metrics_port)
            measured = asyncio.create_task(collectors.serve())
        if with_worker and settings.build_id is not None:
            log.warning("transfers that this process starts run on its own version, whichever version is current")
        keep_out_of_collections()
        if pages is None:
            log.warning("the API runs without the pages for people: `make web` builds them, with Node 20.19 or newer")
        log.info("api starts", host=settings.api_host, port=settings.api_port, worker=with_worker)
        await server.serve()
        registering.cancel()
        counting.cancel()
        recording.cancel()
        following.cancel()
        admitting.cancel()
        stop.set()
        await running
        with suppress(Unavailable):
            await process.services.request_queue.write_all()
        if measured is not None:
            collectors.should_exit = True
            await measured
        log.info("api stopped")
