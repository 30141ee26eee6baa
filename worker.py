"""Composition root of a worker: which workflows and activities it runs, with what."""

from collections.abc import Callable, Sequence
from datetime import timedelta

import structlog
from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.worker import (
    PollerBehaviorAutoscaling,
    UnsandboxedWorkflowRunner,
    Worker,
    WorkerDeploymentConfig,
)

from activities.books.account_statements import StatementSteps
from activities.books.batches import BatchSteps
from activities.books.rebuilds import STEP_SECONDS, RebuildSteps
from activities.disputes import DisputeSteps
from activities.http_verifier import HttpVerifier
from activities.notifications import NotificationSteps
from activities.onboarding import OnboardingSteps
from activities.recovery import RecoverySteps
from activities.reviews import ReviewSteps
from activities.screening import ScreeningSteps
from activities.staff import StaffSteps
from activities.step_records import StepRecords, nobody_waits
from activities.sweeps.standing_orders import standing_order_steps
from activities.tiers import TierSteps
from activities.transfers import TransferSteps
from activities.webhooks.deliveries import WebhookSweepSteps
from batches.postgres.batches import Batches
from batches.postgres.chunks import BatchPosting
from bulk_transfers.postgres import BulkTransfers
from customers.documents.sandbox import PeopleVerify, SandboxVerifier
from customers.documents.verifier import Verifier
from database.connections import Database
from disputes.postgres.disputes import Disputes
from disputes.postgres.late_reversals import LateReversals
from key_rings import encryption_from
from ledger.postgres.account_queue import AccountQueues
from ledger.postgres.book import Book
from notifications.mail import smtp
from notifications.mail.folder import MailFolder
from notifications.mail.mail import Mailer, NoMailer
from notifications.postgres import Notifications
from onboarding.postgres import Onboarding
from reviews.review import ReviewPolicy
from rule_files import configured_rules
from screening.postgres.rules_in_force import RulesInForce
from screening.postgres.verdicts import Verdicts
from screening.rule_sets import rule_set_of
from screening.rules import ScreeningRule
from screening.standard_rules import FundingThreshold
from setting_groups.value_lists import texts_in
from settings import Settings
from staff.rebuilds.postgres import Rebuilds
from statements.postgres.account_statements import AccountStatements
from sweep_schedules import due_rules_from
from tiers.postgres.tier_requests import TierRequests
from tiers.tier_request import TierTerms
from webhooks.addresses import AllowedNetworks
from webhooks.postgres.outbound import OutgoingEvents
from workflows import policies
from workflows.books.batch import BatchWorkflow
from workflows.books.rebuild import RebuildWorkflow
from workflows.books.statement import StatementWorkflow
from workflows.customers.onboarding import OnboardingWorkflow
from workflows.customers.tier_request import TierRequestWorkflow
from workflows.dispute import DisputeWorkflow
from workflows.interceptors.step_headers import RequestHeader
from workflows.payload_visits import leave_out_idle_visits
from workflows.recovery import RecoveryWorkflow
from workflows.sweeps.monthly_statements import StatementSweepWorkflow
from workflows.sweeps.standing_orders import StandingOrderSweepWorkflow
from workflows.task_executor import EventLoopExecutor
from workflows.transfer.saga import TransferWorkflow
from workflows.versioned import (
    AutoUpgradedBatch,
    AutoUpgradedDispute,
    AutoUpgradedOnboarding,
    AutoUpgradedRebuild,
    AutoUpgradedRecovery,
    AutoUpgradedStandingOrderSweep,
    AutoUpgradedStatementSweep,
    AutoUpgradedTierRequest,
    AutoUpgradedWebhookEndpoint,
)
from workflows.webhooks.webhook_endpoint import WebhookEndpointWorkflow

log = structlog.get_logger()

WORKFLOWS: Sequence[type] = (
    TransferWorkflow,
    RecoveryWorkflow,
    DisputeWorkflow,
    OnboardingWorkflow,
    TierRequestWorkflow,
    RebuildWorkflow,
    StatementWorkflow,
    StatementSweepWorkflow,
    StandingOrderSweepWorkflow,
    WebhookEndpointWorkflow,
    BatchWorkflow,
)
# The same of a worker that has a version: short ones are pinned to it, long ones follow the current one.
VERSIONED_WORKFLOWS: Sequence[type] = (
    TransferWorkflow,
    AutoUpgradedRecovery,
    AutoUpgradedDispute,
    AutoUpgradedTierRequest,
    AutoUpgradedOnboarding,
    AutoUpgradedRebuild,
    StatementWorkflow,
    AutoUpgradedStandingOrderSweep,
    AutoUpgradedStatementSweep,
    AutoUpgradedWebhookEndpoint,
    AutoUpgradedBatch,
)

# What Temporal calls all versions of Remit's workers together.
DEPLOYMENT = "remit"


# What workers without a version say instead.
UNVERSIONED = "unversioned"

# The sandbox finds non-determinism, at half the throughput: the tests replay every history in it, workers do without.
DIRECT = UnsandboxedWorkflowRunner()

# Steps of one process at once, also those that wait for one account: when so many wait, others wait too.
AT_ONCE = 300

# As many requests for work a process begins with, of each kind; the SDK adds to them as long as there is work.
FIRST_POLLERS = 5
MOST_POLLERS = 20

# Transfers that wait for a held account stay in the cache: otherwise each would be replayed when it needs attention.
MOST_CACHED = 5_000


def mailer_from(settings: Settings, mail_time: timedelta = smtp.TIME) -> Mailer:
    """How mails are sent: by SMTP, where one mail takes so long at most, as files in a folder, or not at all."""
    if settings.smtp_url is not None:
        return smtp.SmtpMailer(settings.smtp_url.get_secret_value(), settings.mail_from, mail_time)
    if settings.mail_folder is not None:
        return MailFolder(settings.mail_folder, settings.mail_from)
    return NoMailer()


def verifier_from(settings: Settings) -> Verifier:
    """Who verifies documents: a provider, else test numbers where there are sandbox rails, else staff, one by one."""
    if settings.verifier_url is not None:
        token = settings.verifier_token.get_secret_value() if settings.verifier_token else None
        return HttpVerifier(settings.verifier_url, token)
    return SandboxVerifier() if settings.sandbox_rails else PeopleVerify()


def tier_requests_from(settings: Settings, database: Database, queues: AccountQueues | None = None) -> TierRequests:
    """Requests for a higher tier, on the terms of the settings."""
    terms = TierTerms(settings.tier_deadline_seconds, settings.four_eyes_from_tier)
    four_eyes_after = timedelta(seconds=settings.four_eyes_after_seconds)
    return TierRequests(database, encryption_from(settings), terms, four_eyes_after, queues)


def webhook_networks_from(settings: Settings) -> AllowedNetworks:
    """Networks that webhooks may go to although they are private."""
    return AllowedNetworks.of(texts_in(settings.webhook_allow))


def deployment(build_id: str | None) -> WorkerDeploymentConfig | None:
    """The version that a worker says it is; None for one that has none and runs whatever no version holds.

    A worker with a version gets new workflows while its version is current, and those that are pinned to it always.
    """
    if build_id is None:
        return None
    return WorkerDeploymentConfig(
        version=WorkerDeploymentVersion(DEPLOYMENT, build_id),
        use_worker_versioning=True,
        default_versioning_behavior=VersioningBehavior.PINNED,
    )


def promotion(build_id: str) -> str:
    """The command that makes a version current."""
    return f"temporal worker deployment set-current-version --deployment-name {DEPLOYMENT} --build-id {build_id}"


def build_worker(
    client: Client,
    book: Book,
    settings: Settings,
    *,
    rules: Sequence[ScreeningRule] | None = None,
    workflows: Sequence[type] | None = None,
    notifications: Notifications | None = None,
    verifier: Verifier | None = None,
    after_step: Callable[[], None] = nobody_waits,
) -> Worker:
    """A worker on `settings.task_queue`. Shares the client with the API where both live in one process.

    `after_step` is called after each run of a step, which may have committed something.
    """
    leave_out_idle_visits()
    money = TransferSteps(book, settings.stuck_after_seconds)
    review = ReviewSteps(
        book,
        ReviewPolicy(settings.review_deadline_seconds, settings.review_reminder_seconds, settings.four_eyes_from_major),
        timedelta(seconds=settings.four_eyes_after_seconds),
    )
    rule_set = configured_rules(settings) if rules is None else rule_set_of(rules)
    is_fixed = rules is not None or settings.rules_file is not None
    required = [FundingThreshold(settings.funding_four_eyes_from_major)]
    in_force = RulesInForce(book.database, rule_set, required, is_fixed=is_fixed)
    screening = ScreeningSteps(in_force, Verdicts(book.database))
    recovery = RecoverySteps(client, book, settings.recovery_grace_seconds)
    late_reversals = LateReversals(book.database)
    disputes = DisputeSteps(
        client, Disputes(book.database), late_reversals, book.fingerprints, settings.recovery_grace_seconds
    )
    notification = NotificationSteps(notifications or Notifications(book.database))
    staff = StaffSteps(book.database)
    tiers = TierSteps(
        client,
        tier_requests_from(settings, book.database),
        verifier or verifier_from(settings),
        settings.recovery_grace_seconds,
    )
    onboarding = OnboardingSteps(
        client,
        Onboarding(book.database, encryption_from(settings)),
        verifier or verifier_from(settings),
        settings.recovery_grace_seconds,
    )
    outgoing = OutgoingEvents(book.database, encryption_from(settings))
    webhooks = WebhookSweepSteps(client, outgoing, settings.recovery_grace_seconds, policies.TASK_TIMEOUT)
    bulk = BulkTransfers(book.fingerprints, in_force, settings.limits())
    standing_orders = standing_order_steps(book.database, bulk, due_rules_from(settings), settings.limits())
    batches = BatchSteps(
        client,
        BatchPosting(book.database, bulk, book.queues),
        Batches(book.database, book.fingerprints),
        settings.recovery_grace_seconds,
    )
    rebuilds = RebuildSteps(client, Rebuilds(book.database, book.queues), settings.recovery_grace_seconds, STEP_SECONDS)
    statements = StatementSteps(
        client, AccountStatements(book.database, settings.statement_terms()), settings.recovery_grace_seconds
    )
    return Worker(
        client,
        task_queue=settings.task_queue,
        workflows=workflows or (WORKFLOWS if settings.build_id is None else VERSIONED_WORKFLOWS),
        activities=[
            money.open_transfer,
            money.debit_source,
            money.credit_destination,
            money.refund_source,
            money.fail_transfer,
            money.cancel_transfer,
            screening.screen_transfer,
            screening.screen_with_facts,
            review.begin_review,
            review.record_decision,
            review.read_review,
            review.expire_review,
            staff.record_staff_action,
            review.remind_reviewers,
            recovery.find_stranded,
            recovery.abandon_stranded,
            disputes.read_dispute,
            disputes.decide_dispute,
            disputes.expire_dispute,
            disputes.close_dispute,
            disputes.find_stranded_disputes,
            notification.notify_parties,
            tiers.read_tier_request,
            tiers.verify_tier_document,
            tiers.expire_tier_request,
            tiers.find_stranded_tier_requests,
            onboarding.read_onboarding,
            onboarding.verify_document,
            onboarding.find_stranded_onboardings,
            batches.post_batch,
            batches.cancel_batch,
            batches.find_stranded_batches,
            rebuilds.rebuild_accounts,
            rebuilds.find_stranded_rebuilds,
            statements.add_up_statement,
            statements.find_stranded_statements,
            statements.make_monthly_statements,
            standing_orders.pay_standing_orders,
            standing_orders.find_standing_order_transfers,
            webhooks.wake_webhook_endpoints,
        ],
        workflow_runner=DIRECT,
        workflow_task_executor=EventLoopExecutor(),
        deployment_config=deployment(settings.build_id),
        # Else the SDK would read and hash the code of all modules: a second, or three, before the first step.
        build_id=None if settings.build_id else UNVERSIONED,
        interceptors=[StepRecords(after_step), RequestHeader()],
        max_cached_workflows=MOST_CACHED,
        max_concurrent_workflow_tasks=AT_ONCE,
        max_concurrent_local_activities=AT_ONCE,
        max_concurrent_activities=AT_ONCE,
        workflow_task_poller_behavior=PollerBehaviorAutoscaling(initial=FIRST_POLLERS, maximum=MOST_POLLERS),
        activity_task_poller_behavior=PollerBehaviorAutoscaling(initial=FIRST_POLLERS, maximum=MOST_POLLERS),
        # A worker that died is noticed after this time instead of ten seconds.
        sticky_queue_schedule_to_start_timeout=policies.STICKY_TIMEOUT,
        graceful_shutdown_timeout=policies.GRACEFUL_SHUTDOWN,
    )
