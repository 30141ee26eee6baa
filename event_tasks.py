"""Composition root of what a worker does with events beside its steps: who gets each event, and what keeps them."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, NoReturn

import structlog
from temporalio.client import Client
from temporalio.worker import PollerBehaviorAutoscaling, Worker

from activities.step_records import StepRecords, nobody_waits
from activities.webhooks.deliveries import DeliverySteps
from activities.webhooks.wakes import Wakes
from database.connections import STEPS, WORKER_ROLE, Database
from events.installed_sinks import installed_sinks
from events.postgres.arrivals import Arrivals
from events.postgres.retention import keep_event_months
from events.postgres.sequencer import Sequencer
from events.postgres.sink_runs import run_sinks
from events.sink import Publisher, Sink, SinkKind
from key_rings import encryption_from
from notifications.choices.postgres import ChannelChoices
from notifications.mail.email_sink import MAIL_TIME, EmailSink
from projections.postgres.generations import keep_rebuilding
from projections.postgres.projection_sink import projection_sinks
from settings import Settings
from webhooks.http_client import WebhookSender
from webhooks.postgres.expiry import keep_forgetting
from webhooks.postgres.fan_out import WebhookFanOut
from webhooks.postgres.outbound import OutgoingEvents
from worker import UNVERSIONED, deployment, mailer_from, webhook_networks_from
from workflows import policies
from workflows.interceptors.step_headers import RequestHeader

if TYPE_CHECKING:
    from brokers.kafka_dead_letters import KafkaDeadLetters
    from brokers.rabbitmq_dead_letters import RabbitMqDeadLetters

log = structlog.get_logger()

# Sinks that settings switch on. The others of Remit are always on.
BUILT_IN = dict.fromkeys((EmailSink.name, "kafka", "rabbitmq"), SinkKind.PUBLISHER)

# Of a worker, beside those of its steps.
EVENT_CONNECTIONS = 10

# Endpoints that one process sends to at once. Each has 20 requests open at most.
ENDPOINTS_AT_ONCE = 100


def open_events_database(settings: Settings) -> Database:
    """The connections of what a worker does for events: it waits for no step, and no step for it."""
    url = settings.worker_database_url or settings.database_url
    assert url is not None
    return Database(url, EVENT_CONNECTIONS, "remit-events", STEPS, role=WORKER_ROLE)


# A broker's client takes a third of a second to import, and most installations have none.


def brokers_from(settings: Settings) -> list[Publisher]:
    """The brokers that the settings name."""
    found: list[Publisher] = []
    if settings.kafka_url is not None:
        from brokers.kafka import KafkaAddress, KafkaSink  # noqa: PLC0415

        found.append(KafkaSink(KafkaAddress(settings.kafka_url.get_secret_value())))
    if settings.rabbitmq_url is not None:
        from brokers.rabbitmq import RabbitMqSink  # noqa: PLC0415

        found.append(RabbitMqSink(settings.rabbitmq_url.get_secret_value()))
    return found


def collectors_from(settings: Settings, database: Database) -> "list[KafkaDeadLetters | RabbitMqDeadLetters]":
    """What collects dead letters from the brokers that the settings name, and hands replays back."""
    found: list[KafkaDeadLetters | RabbitMqDeadLetters] = []
    if settings.kafka_url is not None:
        from brokers import kafka, kafka_dead_letters  # noqa: PLC0415

        address = kafka.KafkaAddress(settings.kafka_url.get_secret_value())
        found.append(kafka_dead_letters.KafkaDeadLetters(address, database))
    if settings.rabbitmq_url is not None:
        from brokers import rabbitmq_dead_letters  # noqa: PLC0415

        found.append(rabbitmq_dead_letters.RabbitMqDeadLetters(settings.rabbitmq_url.get_secret_value(), database))
    return found


def sinks_from(settings: Settings, database: Database, poke: Callable[[], None] = nobody_waits) -> list[Sink]:
    """Who gets every event: what the settings configure, and what installed packages offer. A broken one is left out.

    Money does not wait for any of them, so none keeps a worker from its start. `poke` is called when webhooks have
    something to send.
    """
    configured: list[Sink] = [*projection_sinks(), WebhookFanOut(poke), *brokers_from(settings)]
    if (mailer := mailer_from(settings, MAIL_TIME)).accepts:
        configured.append(EmailSink(mailer, ChannelChoices(database).letters, settings.web_url))
    installed, unusable = installed_sinks(sink.name for sink in configured)
    for each in unusable:
        log.error("an installed sink cannot be used", sink=each.name, error=each.reason)
    return [*configured, *installed]


def build_delivery_worker(
    client: Client,
    settings: Settings,
    outgoing: OutgoingEvents,
    wakes: Wakes,
    after_step: Callable[[], None] = nobody_waits,
) -> Worker:
    """A worker for deliveries alone: an endpoint may be slow, and takes no slot and no connection from money."""
    steps = DeliverySteps(outgoing, WebhookSender(webhook_networks_from(settings)), wakes)
    return Worker(
        client,
        task_queue=settings.task_queue + policies.DELIVERY_QUEUE_SUFFIX,
        activities=[steps.deliver_events],
        deployment_config=deployment(settings.build_id),
        build_id=None if settings.build_id else UNVERSIONED,
        interceptors=[StepRecords(after_step), RequestHeader()],
        max_concurrent_activities=ENDPOINTS_AT_ONCE,
        activity_task_poller_behavior=PollerBehaviorAutoscaling(initial=1, maximum=5),
        graceful_shutdown_timeout=policies.GRACEFUL_SHUTDOWN,
    )


class EventTasks:
    """What one worker process does with events. Whatever fails waits and goes on: money does not wait for any of it."""

    def __init__(self, settings: Settings) -> None:
        self.database = open_events_database(settings)
        self.outgoing = OutgoingEvents(self.database, encryption_from(settings))
        self.wakes = Wakes(self.outgoing, policies.TASK_TIMEOUT)
        self._settings = settings
        self._arrivals = Arrivals(self.database)
        self._sequencer = Sequencer(self.database, self._arrivals.announce)

    def wake(self) -> None:
        """Number soon: a step may have committed something. Never waits."""
        self._sequencer.wake()

    def begin(self) -> "list[asyncio.Task[NoReturn] | asyncio.Task[None]]":
        """Number events and hand them to every sink, until the tasks are cancelled. The database must be open."""
        settings, database = self._settings, self.database
        sinks = sinks_from(settings, database, self.wakes.poke)
        return [
            asyncio.create_task(self._sequencer.keep_numbering()),
            asyncio.create_task(self._arrivals.keep_listening()),
            asyncio.create_task(run_sinks(database, self._arrivals, sinks)),
            asyncio.create_task(keep_event_months(database, settings.event_days)),
            asyncio.create_task(keep_rebuilding(database)),
            *(asyncio.create_task(collector.run()) for collector in collectors_from(settings, database)),
        ]

    def delivery_worker(self, client: Client) -> AbstractAsyncContextManager[object]:
        """The worker that sends to endpoints."""
        return build_delivery_worker(client, self._settings, self.outgoing, self.wakes, self.wake)

    def begin_waking(self, client: Client) -> "list[asyncio.Task[NoReturn] | asyncio.Task[None]]":
        """Wake the workflows of endpoints that have something to do, and forget old deliveries."""
        return [
            asyncio.create_task(self.wakes.keep_waking(client, self._settings.task_queue)),
            asyncio.create_task(keep_forgetting(self.database)),
        ]
