"""One connection to Temporal for a whole process: it connects, and watches whether Temporal answers."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import NoReturn, TypeVar

import structlog
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

log = structlog.get_logger()
Answer = TypeVar("Answer")

# A request waits at most this long for one answer of Temporal: whoever sent it knows within 3 s that there is none.
RPC_SECONDS = 2.3
RPC_LIMIT = timedelta(seconds=RPC_SECONDS)
# How often the connection is tried, and how long for an answer. Calls that may take longer end when there is none.
WATCH_PAUSE = 0.75
WATCH_SECONDS = 1.5
# One attempt to connect, and the longest pause before the next.
CONNECT_SECONDS = 4
LONGEST_CONNECT_PAUSE = 1


class TemporalUnavailable(Exception):
    """Temporal gave no answer. Whether it carried out the call is unknown; the same request may be repeated."""


class UnknownToTemporal(TemporalUnavailable):
    """Temporal has nothing with this ID, or has it no more."""


@asynccontextmanager
async def unavailable_on_failure(within_seconds: float = RPC_SECONDS) -> AsyncIterator[None]:
    """Raise `TemporalUnavailable` where calls fail, or give no answer in time; `UnknownToTemporal` for an unknown ID.

    The SDK raises `RuntimeError` where it cannot connect. Its own limit is for one try, and it tries again.
    """
    try:
        async with asyncio.timeout(within_seconds):
            yield
    except TimeoutError as error:
        raise TemporalUnavailable(f"No answer within {within_seconds:g} s.") from error
    except (RPCError, RuntimeError) as error:
        is_unknown = isinstance(error, RPCError) and error.status is RPCStatusCode.NOT_FOUND
        raise (UnknownToTemporal if is_unknown else TemporalUnavailable)(str(error)) from error


@dataclass
class TemporalConnection:
    """The process may start before Temporal does: until then, calls raise `TemporalUnavailable`."""

    connect: Callable[[], Awaitable[Client]]
    task_queue: str
    client: Client | None = None
    connected: asyncio.Event = field(default_factory=asyncio.Event)
    registration_doubted: asyncio.Event = field(default_factory=asyncio.Event)
    _nudging: set["asyncio.Task[None]"] = field(default_factory=set)
    _silent: asyncio.Event = field(default_factory=asyncio.Event)

    async def keep_connecting(self) -> Client:
        """Return the client once Temporal has answered. From then on the client reconnects by itself."""
        pause, reported = 0.2, ""
        while True:
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    self.client = await self.connect()
            except (RPCError, RuntimeError, OSError) as error:  # TimeoutError is an OSError
                reason = str(error) or f"Temporal does not answer within {CONNECT_SECONDS:g} s"
                if reason != reported:
                    log.warning("%s. Trying again until it does", reason)
                    reported = reason
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_CONNECT_PAUSE)
            else:
                self.connected.set()
                return self.client

    async def watch(self) -> NoReturn:
        """Try the connection again and again, so that it is known at any time whether Temporal answers.

        The answers also keep Temporal from refusing the pings by which the client finds a connection that is dead.
        """
        while True:
            try:
                await self.ping()
            except TemporalUnavailable as error:
                if not self._silent.is_set():
                    log.warning("Temporal does not answer", error=str(error))
                self._silent.set()
            else:
                if self._silent.is_set():
                    log.info("Temporal answers again")
                    self.registration_doubted.set()
                self._silent.clear()
            await asyncio.sleep(WATCH_PAUSE)

    async def ping(self) -> None:
        """Raise `TemporalUnavailable` unless Temporal reports that it serves.

        Tried again within its time: Temporal closes each connection now and then, and calls fail with it.
        """
        async with unavailable_on_failure(WATCH_SECONDS):
            healthy = await self._client.service_client.check_health(
                retry=True, timeout=timedelta(seconds=WATCH_SECONDS)
            )
        if not healthy:
            raise TemporalUnavailable("Temporal reports that it does not serve.")

    def _in_background(self, call: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(call)
        self._nudging.add(task)
        task.add_done_callback(self._nudging.discard)

    async def _unless_silent(self, call: Awaitable[Answer]) -> Answer:
        """The answer of a call that may take long. Raises `TemporalUnavailable` if Temporal falls silent meanwhile."""
        answering = asyncio.ensure_future(call)
        silence = asyncio.create_task(self._silent.wait())
        try:
            await asyncio.wait({answering, silence}, return_when=asyncio.FIRST_COMPLETED)
            if not answering.done():
                raise TemporalUnavailable("Temporal does not answer any more.")
            return answering.result()
        finally:
            answering.cancel()
            silence.cancel()

    @property
    def _client(self) -> Client:
        if self.client is None:
            raise TemporalUnavailable("Temporal has not answered since this process started.")
        return self.client
