"""`remit events consume`: the example of a consumer, as a process of its own."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.console import fail, run_async
from settings import Settings

if TYPE_CHECKING:
    from pydantic import SecretStr


def consume(
    rabbitmq: Annotated[bool, typer.Option("--rabbitmq", help="From RabbitMQ, at REMIT_RABBITMQ_URL.")] = False,
    kafka: Annotated[bool, typer.Option("--kafka", help="From Kafka, at REMIT_KAFKA_URL.")] = False,
    database: Annotated[
        str | None,
        typer.Option(
            envvar="CONSUMER_DATABASE_URL",
            help="The consumer's own PostgreSQL database, where it may make tables. Without it: that of the books.",
        ),
    ] = None,
) -> None:
    """Run the example of a consumer: it counts events by their type, each of them once, and prints what it does.

    SIGTERM and Ctrl-C end it. Without --rabbitmq or --kafka: from the broker that the settings name.
    """
    settings = Settings()
    if rabbitmq and kafka:
        fail("Choose one of --rabbitmq and --kafka.", status=2)
    if not rabbitmq and not kafka:
        rabbitmq, kafka = settings.rabbitmq_url is not None, settings.kafka_url is not None
        if rabbitmq and kafka:
            fail("Two brokers are configured: choose --rabbitmq or --kafka.", status=2)
        if not rabbitmq and not kafka:
            fail("No broker is configured: set REMIT_RABBITMQ_URL or REMIT_KAFKA_URL.", status=2)
    configured = settings.rabbitmq_url if rabbitmq else settings.kafka_url
    url = _given(configured, "REMIT_RABBITMQ_URL" if rabbitmq else "REMIT_KAFKA_URL")
    if (where := database or _books(settings)) is None:
        fail("Name the consumer's own database, by --database or CONSUMER_DATABASE_URL.", status=2)

    from brokers.example.example_worker import work_until_stopped
    from brokers.kafka import KafkaAddress

    broker: str | KafkaAddress = url if rabbitmq else KafkaAddress(url)
    run_async(work_until_stopped(where, broker, typer.echo))


def _books(settings: Settings) -> str | None:
    from devenv.home import live_run

    running = live_run(settings.home)
    return settings.database_url or (running.database_url if running else None)


def _given(url: "SecretStr | None", name: str) -> str:
    if url is None:
        fail(f"Set {name}.", status=2)
    return url.get_secret_value()
