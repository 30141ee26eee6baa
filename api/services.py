"""The services that the routes use, put together by a composition root."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request
from temporalio.converter import PayloadCodec

from api.auth.browser.cookies import Cookies
from api.auth.login_limits import LoginLimits
from api.auth.tokens import Tokens
from api.http.metrics import ApiGauges
from api.http.paging import Cursors
from api.http.readiness import Readiness
from api.limits.rate_limits import RateLimits
from api.live.admission import Admission
from api.live.hub import EventHub
from api.live.pushed_notifications import PushedNotifications
from api.staff.interventions import Interventions
from api.temporal import TemporalGateway
from api.trail.request_queue import RequestQueue
from api.transfers.acceptance import Acceptance
from api.web_ui import WebUi
from batches.postgres.batches import Batches
from batches.postgres.held_batches import HeldBatches
from customers.api_keys.postgres import ApiKeys
from customers.documents.verifier import Verifier
from customers.payees.postgres import Payees
from customers.postgres import Customers
from customers.second_factor.postgres import SecondFactors
from customers.sessions.postgres import Sessions
from customers.sign_ins.postgres import SignIns
from database.connections import Database
from disputes.dispute import DisputeTerms
from disputes.postgres.disputes import Disputes
from disputes.postgres.holds import DisputeHolds
from events.postgres.dead_letters import DeadLetters
from events.postgres.search import EventSearches
from events.postgres.sinks import SinkReads
from events.sink import SinkKind
from ledger.limits.tier_limits import LimitTable
from ledger.postgres.account_reads import AccountReads
from ledger.postgres.reversals import Reversals
from ledger.postgres.transfer_reads import TransferReads
from notifications.choices.postgres import ChannelChoices
from notifications.mail.mail import Mailer
from notifications.postgres import Notifications
from onboarding.postgres import Onboarding
from projections.postgres.generations import ProjectionRebuilds
from projections.postgres.reads import ProjectionReads
from reviews.open_reviews.postgres import OpenReviews
from reviews.postgres import Reviews
from screening.postgres.cases import Cases
from screening.postgres.member_lists import MemberLists
from screening.postgres.rule_sets import RuleSets
from screening.postgres.verdict_reads import VerdictReads
from staff.dead_letters.postgres import DeadLetterActs
from staff.fundings.postgres import FundingAccounts
from staff.period_stats.postgres import PeriodReads
from staff.postgres.actions import StaffActions
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
from tiers.postgres.tier_requests import TierRequests
from trail.postgres.records import AuditRecords
from trail.postgres.requests import RequestTrail
from webhooks.addresses import AllowedNetworks
from webhooks.postgres.endpoints import WebhookEndpoints


@dataclass(frozen=True, slots=True)
class Services:
    """The services of one API process."""

    database: Database
    customers: Customers
    account_reads: AccountReads
    transfer_reads: TransferReads
    acceptance: Acceptance
    temporal: TemporalGateway
    tokens: Tokens
    cursors: Cursors
    sandbox_rails: bool
    default_currency: str
    limits: LimitTable
    operators: Operators
    rebuilds: Rebuilds
    role_requests: RoleRequests
    projection_reads: ProjectionReads
    projection_rebuilds: ProjectionRebuilds
    sink_reads: SinkReads
    configured_sinks: frozenset[str]
    known_sinks: Mapping[str, SinkKind]
    sink_retirements: SinkRetirements
    roles: Roles
    transfer_searches: TransferSearches
    transfer_files: TransferFiles
    row_holders: RowHolders
    actions: StaffActions
    audit_records: AuditRecords
    event_searches: EventSearches
    request_records: RequestTrail
    request_queue: RequestQueue
    stats: LedgerStats
    period_reads: PeriodReads
    reversals: Reversals
    disputes: Disputes
    dispute_terms: DisputeTerms
    dispute_holds: DisputeHolds
    web_ui: WebUi
    interventions: Interventions
    reviews: Reviews
    open_reviews: OpenReviews
    tier_requests: TierRequests
    cases: Cases
    member_lists: MemberLists
    rule_sets: RuleSets
    dead_letters: DeadLetters
    dead_letter_acts: DeadLetterActs
    verdict_reads: VerdictReads
    gauges: ApiGauges
    readiness: Readiness
    sign_ins: SignIns
    login_limits: LoginLimits
    codec: PayloadCodec | None
    rate_limits: RateLimits
    payees: Payees
    funding_accounts: FundingAccounts
    onboarding: Onboarding
    verifier: Verifier
    sessions: Sessions
    api_keys: ApiKeys
    cookies: Cookies
    second_factors: SecondFactors
    staff_show_second_factor: bool
    mailer: Mailer
    notifications: Notifications
    channel_choices: ChannelChoices
    hub: EventHub
    pushed_notifications: PushedNotifications
    admission: Admission
    web_url: str | None
    webhook_endpoints: WebhookEndpoints
    webhook_networks: AllowedNetworks
    statements: AccountStatements
    standing_orders: StandingOrders
    time_zone: str
    batches: Batches
    held_batches: HeldBatches


async def services_of(request: Request) -> Services:
    """The services of the app."""
    return cast("Services", request.app.state.remit)


Remit = Annotated[Services, Depends(services_of)]
