"""Logging of a process: one line per event, as text or JSON. No line holds a secret or personal data."""

import logging
import sys

import structlog

from settings import Settings


def configure_logging(settings: Settings) -> None:
    """Write the events of structlog and of libraries that use `logging` to stderr, in one format."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if settings.log_format == "json"
        # Not the pretty tracebacks: they print local variables, and with them tokens and passwords.
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler()
    exceptions = [structlog.processors.format_exc_info] if settings.log_format == "json" else []
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *exceptions, last],
        )
    )
    logging.basicConfig(level=settings.log_level, handlers=[handler], force=True)
    # A line per request to Temporal or per connection does not help an operator.
    for name in ("httpx", "httpcore", "uvicorn.error", "uvicorn.access", "alembic", "asyncio"):
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLevelName(settings.log_level)))
