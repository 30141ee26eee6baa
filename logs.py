"""Logging of a process: one line per event, as text or JSON. No line holds a secret or personal data.

structlog writes our own lines and those of libraries that use `logging`, Temporal's included, in one format. With a
folder, the lines of the API and of the worker go to files of their own, which rotate.
"""

import gzip
import logging
import os
import shutil
import sys
from collections.abc import Callable
from logging.handlers import RotatingFileHandler
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Any

import orjson
import structlog
import temporalio.activity
import temporalio.workflow
from structlog.typing import EventDict, Processor, WrappedLogger
from temporalio.runtime import LogForwardingConfig, LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter

from activities.step_records import step_fields
from settings import Settings

FILE_BYTES = 20_000_000
OLD_FILES = 9

# What a line of a library may bring along; all else that it attaches stays out.
_EXTRA = ("transfer_id", "dispute_id", "state")
_WORKFLOW = ("workflow_id", "workflow_type", "run_id", "update_name")

# The loggers of a worker's parts: with a folder, their lines are in the worker's file.
_WORKERS = frozenset({"activities", "temporalio", "worker", "workflows"})


def configure_logging(settings: Settings, process: str = "api") -> None:
    """Write the lines of this process, an `api` or a `worker`, to stderr, or to files in `log_folder`."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        _with_step,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.PositionalArgumentsFormatter(),
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    last: list[Processor] = (
        [structlog.processors.format_exc_info, _in_order, structlog.processors.JSONRenderer(serializer=_json)]
        if settings.log_format == "json"
        # Not the pretty tracebacks: they print local variables, and with them tokens and passwords.
        else [
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty() and settings.log_folder is None,
                exception_formatter=structlog.dev.plain_traceback,
            )
        ]
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.ExtraAdder(_EXTRA), _with_temporals_fields, *shared],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
    )
    handlers = _handlers(settings.log_folder, process)
    for handler in handlers:
        handler.setFormatter(formatter)
    _leave_out_what_no_line_shows()
    logging.basicConfig(level=settings.log_level, handlers=handlers, force=True)
    sys.excepthook = _log_the_end
    # A line per request to Temporal or per connection does not help an operator.
    for name in ("httpx", "httpcore", "uvicorn.error", "uvicorn.access", "alembic", "asyncio"):
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLevelName(settings.log_level)))
    _take_temporals_lines()


def _leave_out_what_no_line_shows() -> None:
    """The caller, thread and process of each line: to find them out takes a third of the time of a line in JSON.

    https://docs.python.org/3/howto/logging.html#optimization
    """
    logging._srcfile = None  # noqa: SLF001 - documented there
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False


def _take_temporals_lines() -> None:
    """Bring the SDK's lines into this format, its native part's too. Before the first client is made."""
    # Its fields come as fields, so they need not be in the text as well.
    temporalio.workflow.logger.workflow_info_on_message = False
    temporalio.activity.logger.activity_info_on_message = False
    # Instead of it, `StepRecords` writes one line without a trace.
    temporalio.activity.logger.base_logger.addFilter(_is_no_failed_step)
    forwarding = LogForwardingConfig(
        logger=logging.getLogger("temporalio.core"),
        append_target_to_name=False,
        prepend_target_on_message=False,
        append_log_fields_to_message=False,
    )
    native = LoggingConfig(TelemetryFilter(core_level="WARN", other_level="ERROR"), forwarding=forwarding)
    Runtime.set_default(Runtime(telemetry=TelemetryConfig(logging=native)), error_if_already_set=False)


def _is_no_failed_step(record: logging.LogRecord) -> bool:
    return getattr(record, "__temporal_error_identifier", None) != "ActivityFailure"


def _with_step(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    return {**step_fields(), **event}


def _with_temporals_fields(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """The fields of the SDK's lines: which workflow and update, and what its native part says beside the message."""
    record = event["_record"]
    for name, value in getattr(record, "temporal_workflow", {}).items():
        if name in _WORKFLOW:
            event.setdefault(name, value)
    if native := getattr(record, "temporal_log", None):
        event.update({name: value for name, value in native.fields.items() if name not in event})
    return event


def _in_order(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """When, how bad and what, then the fields."""
    first = {name: event.pop(name) for name in ("timestamp", "level", "event")}
    return {**first, **event}


def _json(event: EventDict, default: Callable[[Any], Any]) -> str:
    return orjson.dumps(event, default=default).decode()


def _log_the_end(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    logging.getLogger("remit").critical("the process ends by a defect", exc_info=(kind, error, trace))


def _handlers(folder: Path | None, process: str) -> list[logging.Handler]:
    if folder is None:
        return [logging.StreamHandler()]
    folder.mkdir(parents=True, exist_ok=True)
    workers = CompressedFiles(folder / "worker.log")
    if process == "worker":
        return [workers]
    workers.addFilter(_is_of_worker)
    own = CompressedFiles(folder / f"{process}.log")
    own.addFilter(lambda record: not _is_of_worker(record))
    return [own, workers]


def _is_of_worker(record: logging.LogRecord) -> bool:
    return record.name.partition(".")[0] in _WORKERS or temporalio.activity.in_activity()


class CompressedFiles(RotatingFileHandler):
    """A log file that begins anew at `FILE_BYTES`. The last `OLD_FILES` stay beside it, compressed: `api.log.1.gz`.

    For one process: two that write the same file would rotate it under each other.
    """

    def __init__(self, path: Path, file_bytes: int = FILE_BYTES) -> None:
        super().__init__(path, maxBytes=file_bytes, backupCount=OLD_FILES, encoding="utf-8", delay=True)
        self.namer = "{}.gz".format
        self.rotator = self._compress
        self._compressing: Thread | None = None

    def shouldRollover(self, record: logging.LogRecord) -> bool:  # noqa: ARG002, N802 - the library's
        """Whether the file is full. Unlike the library, this does not format the line a second time to find out."""
        if self.stream is None:
            self.stream = self._open()
        return os.fstat(self.stream.fileno()).st_size >= self.maxBytes  # every line before is in the file

    def doRollover(self) -> None:  # noqa: N802 - the library's
        """Begin a new file, once the one before is compressed: the old files move up by one."""
        if self._compressing is not None:
            self._compressing.join()
        super().doRollover()

    def close(self) -> None:
        """Close the file. An old one that is being compressed is kept whole."""
        super().close()
        if self._compressing is not None:
            self._compressing.join()

    def _compress(self, source: str, target: str) -> None:
        """In the background: it takes longer than a request may wait."""
        waiting = Path(f"{source}.rotated")
        Path(source).replace(waiting)
        self._compressing = Thread(target=_compress, args=(waiting, Path(target)))
        self._compressing.start()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the library's
        """A full disk loses lines. It does not stop what they are about."""
        if not isinstance(sys.exception(), OSError):
            super().handleError(record)


def _compress(source: Path, target: Path) -> None:
    draft = target.with_suffix(".draft")
    with source.open("rb") as plain, gzip.open(draft, "wb") as packed:
        shutil.copyfileobj(plain, packed)
    draft.replace(target)
    source.unlink()
