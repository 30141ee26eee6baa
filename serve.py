"""Composition root of an API process, with or without a worker in it, and of a worker process."""

import asyncio
import gc
import signal
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import NoReturn

import structlog
import uvicorn
from prometheus_client import start_http_server
from starlette.types import ASGIApp
from temporalio.service import RPCError

from api.auth.browser.cookies import Cookies
from api.auth.login_limits import LoginLimits
from api.auth.tokens import Tokens
from api.http.connection_limits import LimitedConnection
from api.http.metrics import ApiGauges
from api.http.middleware import MAX_BODY_BYTES
from api.http.paging import Cursors
from api.http.readiness import Readiness
from api.limits.postgres import RateWindows
from api.limits.rate_limits import RateLimits, RatePolicy
from api.live.admission import Admission
from api.live.hub import EventHub
from api.live.pushed_notifications import PushedNotifications
from api.live.socket_connection import LimitedSocket
from api.pages.built_pages import BuiltPages
from api.request_ids import SendRequestId
from api.services import Services
from api.staff.interventions import Interventions
from api.temporal import TemporalGateway
from api.trail.request_queue import RequestQueue
from api.transfers.acceptance import Acceptance
from api.transfers.completion import Completions
from api.web_ui import WebUi
from batches.postgres.batches import Batches
from customers.api_keys.postgres import ApiKeys
from customers.payees.postgres import Payees
from customers.postgres import Customers
from customers.second_factor.postgres import SecondFactors
from customers.sessions.postgres import Sessions
from customers.sign_ins.networks import trusted_networks
from customers.sign_ins.postgres import SignIns
from database.commits import check_commits, wait_for_durable_commits
from database.connections import LISTS, REQUESTS, STEPS, WORKER_ROLE, Database, Unavailable
from disputes.dispute import DisputeTerms
from disputes.postgres.disputes import Disputes
from disputes.postgres.holds import DisputeHolds
from disputes.postgres.late_reversals import LateReversals
from event_tasks import BUILT_IN, EventTasks, sinks_from
from events.postgres.dead_letters import DeadLetters
from events.postgres.search import EventSearches
from events.postgres.sequencer import UnnumberedReads
from events.postgres.sinks import SinkReads
from key_rings import encryption_from, fingerprints_from, signatures_from
from ledger.postgres.account_queue import AccountQueues
from ledger.postgres.account_reads import AccountReads
from ledger.postgres.book import Book
from ledger.postgres.proof.running_totals import settle_totals
from ledger.postgres.proof.snapshots import take_due_snapshots
from ledger.postgres.reversals import Reversals
from ledger.postgres.transfer_reads import TransferReads
from notifications.choices.postgres import ChannelChoices
from notifications.postgres import Notifications
from onboarding.postgres import Onboarding
from projections.postgres.generations import ProjectionRebuilds
from projections.postgres.reads import ProjectionReads
from reviews.open_reviews.postgres import OpenReviews
from reviews.postgres import Reviews
from rule_files import configured_rules
from screening.postgres.cases import Cases
from screening.postgres.member_lists import MemberLists
from screening.postgres.rule_sets import RuleSets
from screening.postgres.verdict_reads import VerdictReads
from settings import Settings, keys_in, texts_in
from staff.dead_letters.postgres import DeadLetterActs
from staff.fundings.postgres import FundingAccounts, record_funding
from staff.period_stats.postgres import PeriodReads
from staff.postgres.actions import StaffActions
from staff.postgres.open_work import OpenWorkReads
from staff.postgres.operators import Operators
from staff.postgres.reversal_record import record_reversal
from staff.postgres.roles import Roles
from staff.postgres.stats import LedgerStats
from staff.postgres.transfer_file import TransferFiles
from staff.postgres.transfer_search import TransferSearches
from staff.rebuilds.postgres import Rebuilds
from staff.row_holders.postgres import RowHolders
from staff.sinks.postgres import SinkRetirements
from standing_orders.postgres.orders import StandingOrders
from statements.postgres.account_statements import AccountStatements
from sweep_schedules import due_rules_from, sweeps_from
from temporal_client import codec_from, connect_temporal
from trail.postgres.months import Retention
from trail.postgres.records import AuditRecords
from trail.postgres.requests import RequestTrail
from trail.postgres.sealer import keep_trail
from trail.postgres.unsealed import UnsealedReads
from webhooks.postgres.endpoints import WebhookEndpoints
from webhooks.postgres.fan_out import SOURCE as WEBHOOKS
from webhooks.postgres.replays import send_dead_again
from worker import (
    build_worker,
    mailer_from,
    promotion,
    tier_requests_from,
    verifier_from,
    webhook_networks_from,
)
from workflows.registration import register_missing

log = structlog.get_logger()

# When the process stops, requests in progress get this time. Those that wait for a transfer are answered at once.
HTTP_STOP_SECONDS = 5

# Of an API process: one to listen, one for what is new, and one for what subscribers missed.
HUB_CONNECTIONS = 3

# How often a process checks what Temporal has registered, if nothing gives it a reason to.
REGISTRATION_SECONDS = 30


# How long a process waits for the end of what it does beside its steps.
STOP_SECONDS = 3

# How often a worker counts what has settled into the running totals.
SETTLE_EVERY_SECONDS = 60


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
            timeout_graceful_shutdown=HTTP_STOP_SECONDS,
        )
    )


@dataclass(frozen=True, slots=True)
class ApiProcess:
    """The services of an API process, and what a worker in it shares with them.

    The worker announces `completions`, and its steps wait in the same `queues` for an account as actions of staff.
    """

    services: Services
    completions: Completions
    queues: AccountQueues


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


def compose_api(
    settings: Settings,
    database: Database,
    *,
    with_worker: bool,
    reports: Database | None = None,
    live: Database | None = None,
) -> ApiProcess:
    """Put an API process together. `with_worker`: a worker in the same process announces completed transfers.

    `reports` are the connections of lists, totals and audits, `live` those of events that are pushed; None: those of
    all requests.
    """
    assert settings.jwt_secret is not None
    assert settings.database_url is not None
    secrets = keys_in(settings.jwt_secret)
    reports = reports or database
    completions, queues = Completions(worker_is_here=with_worker), AccountQueues()
    book = open_book(database, settings, completions, queues)
    transfer_reads = TransferReads(database, reports)
    temporal = TemporalGateway(partial(connect_temporal, settings, SendRequestId()), settings.task_queue)
    sandbox, most = settings.sandbox_rails, settings.most_in_flight
    acceptance = Acceptance(temporal, transfer_reads, book, completions, sandbox_rails=sandbox, most_in_flight=most)
    sign_ins = SignIns(database)
    actions, files = StaffActions(database), TransferFiles(database)
    reversals, disputes = Reversals(database), Disputes(database)
    four_eyes_after = timedelta(seconds=settings.four_eyes_after_seconds)
    clock_difference = timedelta(seconds=settings.clock_difference_seconds)
    encryption = encryption_from(settings)
    sessions = Sessions(
        database, timedelta(seconds=settings.session_seconds), timedelta(seconds=settings.refresh_grace_seconds)
    )
    api_keys = ApiKeys(database)
    notifications = Notifications(database, reports)
    configured_sinks = frozenset(sink.name for sink in sinks_from(settings, database))
    services = Services(
        database=database,
        customers=Customers(database, encryption),
        sessions=sessions,
        account_reads=AccountReads(database, reports),
        transfer_reads=transfer_reads,
        acceptance=acceptance,
        temporal=temporal,
        tokens=Tokens(secrets, settings.access_token_seconds, clock_difference),
        cursors=Cursors.from_secrets(*secrets),
        sandbox_rails=settings.sandbox_rails,
        default_currency=settings.default_currency,
        limits=settings.limits(),
        operators=Operators(database, queues, book.fingerprints, reports, settings.audit_timeout_seconds),
        rebuilds=Rebuilds(database, queues),
        batches=Batches(database, book.fingerprints, reports),
        projection_reads=ProjectionReads(database),
        projection_rebuilds=ProjectionRebuilds(database),
        sink_reads=SinkReads(database),
        configured_sinks=configured_sinks,
        known_sinks=BUILT_IN,
        sink_retirements=SinkRetirements(database, configured_sinks),
        roles=Roles(database, four_eyes_after),
        transfer_searches=TransferSearches(reports),
        transfer_files=files,
        row_holders=RowHolders(database),
        actions=actions,
        audit_records=AuditRecords(database, reports),
        event_searches=EventSearches(reports),
        request_records=RequestTrail(reports),
        request_queue=RequestQueue(RequestTrail(reports)),
        stats=LedgerStats(database, reports),
        period_reads=PeriodReads(reports),
        reversals=reversals,
        disputes=disputes,
        dispute_terms=DisputeTerms(settings.dispute_window_days, settings.dispute_deadline_seconds),
        web_ui=WebUi(settings.temporal_ui_url, settings.temporal_namespace),
        dispute_holds=DisputeHolds(database),
        interventions=Interventions(acceptance, temporal, actions, files, reversals, disputes, LateReversals(database)),
        tier_requests=tier_requests_from(settings, database, queues),
        reviews=Reviews(database, four_eyes_after),
        open_reviews=OpenReviews(reports),
        cases=Cases(database),
        member_lists=MemberLists(database),
        rule_sets=RuleSets(
            database, configured_rules(settings), four_eyes_after, is_fixed=settings.rules_file is not None
        ),
        dead_letters=DeadLetters(database),
        dead_letter_acts=DeadLetterActs(database, {WEBHOOKS: send_dead_again}),
        verdict_reads=VerdictReads(database),
        gauges=ApiGauges(
            OpenWorkReads(database),
            UnsealedReads(database),
            UnnumberedReads(database),
            SinkReads(database),
            DeadLetters(database),
            temporal,
        ),
        sign_ins=sign_ins,
        login_limits=LoginLimits(sign_ins),
        codec=codec_from(settings),
        funding_accounts=FundingAccounts(database, settings.funding_floor_major),
        rate_limits=rate_limits_from(settings, database),
        payees=Payees(database, settings.payee_checks),
        onboarding=Onboarding(database, encryption),
        verifier=verifier_from(settings),
        readiness=Readiness(database, temporal),
        api_keys=api_keys,
        cookies=Cookies(settings.cookies_secure, frozenset(texts_in(settings.cookie_origins))),
        second_factors=SecondFactors(database, encryption_from(settings)),
        staff_show_second_factor=settings.staff_second_factor == "required",
        mailer=mailer_from(settings),
        notifications=notifications,
        pushed_notifications=PushedNotifications(notifications),
        channel_choices=ChannelChoices(database),
        hub=EventHub(live or database),
        admission=Admission(sessions, api_keys),
        web_url=settings.web_url,
        webhook_endpoints=WebhookEndpoints(database, encryption),
        webhook_networks=webhook_networks_from(settings),
        statements=AccountStatements(database, settings.statement_terms(), reports),
        standing_orders=StandingOrders(database, book.fingerprints, due_rules_from(settings), reports),
        time_zone=settings.time_zone,
    )
    return ApiProcess(services, completions, queues)


def rate_limits_from(settings: Settings, database: Database) -> RateLimits:
    """The limits on requests, counted together with the other processes of the API."""
    general, strict = settings.most_requests
    seconds = settings.rate_window_seconds
    return RateLimits(
        RateWindows(database), RatePolicy("general", general, seconds), RatePolicy("strict", strict, seconds)
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
        _keep_out_of_collections()
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


def _keep_out_of_collections() -> None:
    """Spare the garbage collector what a process has once it starts: modules, routes and models stay for good.

    A full collection would look at each of these 170,000 objects, and stop the event loop for 90 ms.
    """
    gc.collect()
    gc.freeze()


async def keep_registered(temporal: TemporalGateway, settings: Settings) -> NoReturn:
    """Register again whatever Temporal lacks of what `remit migrate` registers: it may have come back empty."""
    await temporal.connected.wait()
    while True:
        temporal.registration_doubted.clear()
        try:
            assert temporal.client is not None
            if lacked := await register_missing(temporal.client, settings.task_queue, sweeps_from(settings)):
                log.warning("Temporal lacked what `remit migrate` registers: registered again", lacked=lacked)
        except (RPCError, RuntimeError) as error:
            log.debug("it is not known what Temporal lacks", error=str(error))
            await asyncio.sleep(1)
        with suppress(TimeoutError):
            async with asyncio.timeout(REGISTRATION_SECONDS):
                await temporal.registration_doubted.wait()


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


async def keep_totals(database: Database) -> NoReturn:
    """Keep the running totals near the present. Only one process counts at a time, and none has to."""
    while True:
        try:
            await settle_totals(database)
            await take_due_snapshots(database)
        except Unavailable as error:
            log.warning("the running totals were not brought up to date", error=" ".join(str(error).split()))
        await asyncio.sleep(SETTLE_EVERY_SECONDS)


async def encrypt_plain_numbers(database: Database, settings: Settings) -> None:
    """Encrypt the numbers of documents that were written before numbers were encrypted; mostly there are none."""
    while True:
        try:
            written = await Onboarding(database, encryption_from(settings)).encrypt_anew(plain_only=True)
        except Unavailable:
            await asyncio.sleep(SETTLE_EVERY_SECONDS)
        else:
            if written:
                log.info("numbers of documents were encrypted", documents=written)
            return


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
        _keep_out_of_collections()
        await run_until_stopped(temporal, open_book(database, settings), settings, stop, with_worker=True)
        registering.cancel()
    log.info("worker stopped")
