"""Composition root of what the routes of the API use: each noun on its connections, as the settings say."""

from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from api.auth.browser.cookies import Cookies
from api.auth.login_limits import LoginLimits
from api.auth.tokens import Tokens
from api.http.metrics import ApiGauges
from api.http.paging import Cursors
from api.http.readiness import Readiness
from api.limits.postgres import RateWindows
from api.limits.rate_limits import RateLimits, RatePolicy
from api.live.admission import Admission
from api.live.hub import EventHub
from api.live.pushed_notifications import PushedNotifications
from api.request_ids import SendRequestId
from api.services import Services
from api.staff.interventions import Interventions
from api.temporal import TemporalGateway
from api.trail.request_queue import RequestQueue
from api.transfers.acceptance import Acceptance
from api.transfers.completion import Completions
from api.web_ui import WebUi
from batches.postgres.batches import Batches
from batches.postgres.held_batches import HeldBatches
from customers.api_keys.postgres import ApiKeys
from customers.payees.postgres import Payees
from customers.postgres import Customers
from customers.second_factor.postgres import SecondFactors
from customers.sessions.postgres import Sessions
from customers.sign_ins.postgres import SignIns
from database.connections import Database
from disputes.dispute import DisputeTerms
from disputes.postgres.disputes import Disputes
from disputes.postgres.holds import DisputeHolds
from disputes.postgres.late_reversals import LateReversals
from event_tasks import BUILT_IN, sinks_from
from events.postgres.dead_letters import DeadLetters
from events.postgres.search import EventSearches
from events.postgres.sequencer import UnnumberedReads
from events.postgres.sinks import SinkReads
from key_rings import encryption_from
from ledger.postgres.account_queue import AccountQueues
from ledger.postgres.account_reads import AccountReads
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
from setting_groups.value_lists import keys_in, texts_in
from settings import Settings
from staff.dead_letters.postgres import DeadLetterActs
from staff.fundings.postgres import FundingAccounts
from staff.period_stats.postgres import PeriodReads
from staff.postgres.actions import StaffActions
from staff.postgres.open_work import OpenWorkReads
from staff.postgres.operators import Operators
from staff.postgres.roles import Roles
from staff.postgres.stats import LedgerStats
from staff.postgres.transfer_file import TransferFiles
from staff.postgres.transfer_search import TransferSearches
from staff.rebuilds.postgres import Rebuilds
from staff.role_requests.postgres import RoleRequests
from staff.row_holders.postgres import RowHolders
from staff.sinks.postgres import SinkRetirements
from standing_orders.postgres.orders import StandingOrders
from statements.postgres.account_statements import AccountStatements
from sweep_schedules import due_rules_from
from temporal_client import codec_from, connect_temporal
from trail.postgres.records import AuditRecords
from trail.postgres.requests import RequestTrail
from trail.postgres.unsealed import UnsealedReads
from webhooks.postgres.endpoints import WebhookEndpoints
from webhooks.postgres.fan_out import SOURCE as WEBHOOKS
from webhooks.postgres.replays import send_dead_again
from worker import (
    mailer_from,
    tier_requests_from,
    verifier_from,
    webhook_networks_from,
)
from worker_process import open_book


@dataclass(frozen=True, slots=True)
class ApiProcess:
    """The services of an API process, and what a worker in it shares with them.

    The worker announces `completions`, and its steps wait in the same `queues` for an account as actions of staff.
    """

    services: Services
    completions: Completions
    queues: AccountQueues


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
        role_requests=RoleRequests(reports),
        batches=Batches(database, book.fingerprints, reports),
        held_batches=HeldBatches(database, settings.four_eyes_from_major, four_eyes_after),
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
        payees=Payees(database, settings.payee_checks, reports),
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
