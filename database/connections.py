"""The connection pool, how long its calls wait, and which errors mean that PostgreSQL gave no answer.

A network may drop packets without a word: then no connection breaks, and none answers. So a statement whose answer does
not come in time ends its connection, and every other connection is replaced before its next use.
"""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn, Self

import asyncpg

from database.pool_gauges import hide_pool, show_pool
from database.trail.cause import CAUSE

if TYPE_CHECKING:
    Connection = asyncpg.pool.PoolConnectionProxy[asyncpg.Record]
    Pool = asyncpg.Pool[asyncpg.Record]

# The application does not act as the login role. The API switches to a role that asks for transfers and cannot move
# money, the steps of a worker to one that may append to the books and not edit them.
APPLICATION_ROLE = "remit_app"
WORKER_ROLE = "remit_worker"

# Who reads the books for the runbook. It may also see and end the sessions of others.
PEOPLES_ROLE = "remit_operator"

SESSION = {
    "role": APPLICATION_ROLE,
    # Whatever the server, the database or the role say: an answer means that the commit survives a crash.
    "synchronous_commit": "on",
    "timezone": "UTC",
    "jit": "off",
    # PostgreSQL's side of a connection whose client is gone: its locks are freed, and its statement ends.
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "1",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "5s",
    "client_connection_check_interval": "1s",
}


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """How long the calls of one pool wait. PostgreSQL's own limits are shorter, so that it reports its reason first.

    `acquire_seconds` is for a free connection and for making one, `answer_seconds` for the answer to a statement: then
    the connection counts as dead. A statement with a `timeout` of its own has that one instead.
    """

    acquire_seconds: float
    answer_seconds: float
    lock_seconds: float
    statement_seconds: float
    idle_in_transaction_seconds: float

    @property
    def session(self) -> dict[str, str]:
        """What PostgreSQL is told at the start of each session."""
        return SESSION | {
            "lock_timeout": f"{self.lock_seconds:g}s",
            "statement_timeout": f"{self.statement_seconds:g}s",
            "idle_in_transaction_session_timeout": f"{self.idle_in_transaction_seconds:g}s",
        }


# Lists are planned for the values that they are asked for. A plan for any value would read what is common, and take
# seconds for what is rare.
LISTS = {"plan_cache_mode": "force_custom_plan"}

# Commands that a person waits for.
PATIENT = TimeLimits(5, 10, 2, 5, 10)
# Proofs of whole books: one statement reads what changed on a day.
PROOFS = TimeLimits(5, 310, 2, 300, 10)
# Requests: whoever sent one knows within 3 s that PostgreSQL does not answer.
REQUESTS = TimeLimits(2, 2.4, 2, 2.2, 3)
# Steps of workflows: all limits together are below those of one attempt.
STEPS = TimeLimits(2.5, 3, 2, 2.7, 3)

# How often a process tries a connection that nobody uses, and how long for an answer.
WATCH_SECONDS = 1

# Unused connections are probed by the kernel, and end when no answer comes.
_KEEPALIVE_SECONDS = {"TCP_KEEPIDLE": 4, "TCP_KEEPINTVL": 1, "TCP_KEEPCNT": 3}
_USER_TIMEOUT_MILLISECONDS = 3_000

# Refused connections and lost ones, restarts and fail-overs (57P0x), full servers (53xxx), statement timeouts
# (57014), serialization failures and deadlocks (40xxx): a retry may succeed.
_IN_DOUBT = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # asyncpg raises this when a connection breaks during a statement
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.TransactionRollbackError,
    asyncpg.ReadOnlySQLTransactionError,  # the primary has become a standby
    asyncpg.InvalidCatalogNameError,
)


class Unavailable(Exception):
    """PostgreSQL did not answer. Whether a write happened is in doubt; every write here is safe to repeat."""


class LoginRefused(Unavailable):
    """PostgreSQL answers, and refuses this user or password. Waiting does not help."""


class NotText(Exception):
    """A value contains a zero character, which PostgreSQL cannot store as text. Nothing was read or written."""


class RowHeld(Unavailable):
    """PostgreSQL answers, and another transaction holds a row that this one needs. Nothing was written."""


class DiskFull(Unavailable):
    """PostgreSQL's disk is full: it answers, and can write nothing. Nothing was written."""


_MIGRATE = "The database has no schema yet: run `remit migrate`."


class NoSchema(Unavailable):
    """PostgreSQL answers, and the database is empty."""


# What each kind of error means, the first that fits, and what it says.
_MEANINGS: tuple[tuple[type[Exception] | tuple[type[Exception], ...], type[Exception], str], ...] = (
    (asyncpg.LockNotAvailableError, RowHeld, "Another transaction holds the row: {kind}: {error}."),
    (asyncpg.DiskFullError, DiskFull, "PostgreSQL's disk is full: {error}."),
    (asyncpg.InvalidAuthorizationSpecificationError, LoginRefused, "PostgreSQL refuses the login: {error}"),
    (_IN_DOUBT, Unavailable, "PostgreSQL did not answer: {kind}: {error}"),
    (asyncpg.CharacterNotInRepertoireError, NotText, "{error}"),
)


def _explained(error: BaseException) -> Exception | None:
    """`Unavailable` for an error that means no answer, `NotText` for bad text; None for any other error."""
    if isinstance(error, asyncpg.InvalidParameterValueError):
        return NoSchema(_MIGRATE) if any(role in str(error) for role in (APPLICATION_ROLE, WORKER_ROLE)) else None
    if isinstance(error, asyncpg.InsufficientPrivilegeError) and "to set role" in str(error):
        return LoginRefused(f"PostgreSQL refuses the login: {error}")
    for kinds, meaning, text in _MEANINGS:
        if isinstance(error, kinds):
            return meaning(text.format(kind=type(error).__name__, error=error))
    return None


@contextmanager
def in_doubt() -> Iterator[None]:
    """Raise every error that means no answer from PostgreSQL as `Unavailable`, and bad text as `NotText`."""
    try:
        yield
    except Exception as error:
        if explained := _explained(error):
            raise explained from error
        raise


class PooledConnection(asyncpg.Connection):
    """Connections of ours keep no session state, so nothing needs to be reset (a round trip) on release."""

    def __init__(self, protocol: Any, transport: asyncio.Transport, *rest: Any) -> None:
        super().__init__(protocol, transport, *rest)
        _probe_when_silent(transport.get_extra_info("socket"))

    def get_reset_query(self) -> str:
        """Nothing to reset."""
        return ""

    async def close(self, *, timeout: float | None = None) -> None:  # noqa: ASYNC109 - asyncpg's signature
        """End it without a farewell: the pool closes connections that may be dead, and would wait for their answer."""
        del timeout
        self.terminate()


def _probe_when_silent(connected: socket.socket) -> None:
    """Let the kernel find out that nobody answers at the other end. A Unix socket has no such end."""
    if connected.family not in (socket.AF_INET, socket.AF_INET6):
        return
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if sys.platform == "linux":
        for option, value in _KEEPALIVE_SECONDS.items():
            connected.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _USER_TIMEOUT_MILLISECONDS)


class _Borrowed:
    """A connection during a block. A class costs less than a generator, and every step of every transfer uses it."""

    __slots__ = ("_connection", "_doubt", "_pool", "_seconds")

    def __init__(self, pool: "Pool", seconds: float, doubt: Callable[[], Awaitable[None]]) -> None:
        self._pool = pool
        self._seconds = seconds
        self._doubt = doubt

    async def __aenter__(self) -> "Connection":
        with in_doubt():
            self._connection = await self._pool.acquire(timeout=self._seconds)
        return self._connection

    async def __aexit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, _UNANSWERED):
            _end(self._connection)
            if isinstance(error, TimeoutError):
                await self._doubt()
        with in_doubt():
            await self._pool.release(self._connection)
        if error is not None and (explained := _explained(error)):
            raise explained from error


@asynccontextmanager
async def transaction_on(connection: "Connection", **options: Any) -> AsyncIterator[None]:
    """A transaction on this connection, with asyncpg's `options`. It commits when the block ends, and else rolls back.

    After a statement without an answer the connection ends instead: a rollback would have no answer either.
    """
    transaction = connection.transaction(**options)
    await transaction.start()
    try:
        yield
    except _UNANSWERED:
        _end(connection)
        raise
    except BaseException:
        with suppress(asyncpg.InterfaceError):  # the connection is lost, and the transaction with it
            await transaction.rollback()
        raise
    else:
        await transaction.commit()


# Errors after which a statement may still run. asyncpg would wait for its end, which a dead connection never reports.
_UNANSWERED = (TimeoutError, asyncio.CancelledError)


def _end(connection: "Connection") -> None:
    """End a connection at once. PostgreSQL notices within a second, even while it executes a statement."""
    with suppress(asyncpg.InterfaceError):  # it has ended already
        connection.terminate()


class Database:
    """A pool of at most `connections` connections to one database. Connects on first use, and again after a loss."""

    def __init__(
        self,
        url: str,
        connections: int,
        application_name: str = "remit",
        limits: TimeLimits = PATIENT,
        role: str = APPLICATION_ROLE,
        session: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """`session` are more of PostgreSQL's settings for each connection."""
        self._url = url
        self._session = limits.session | dict(session) | {"role": role, "application_name": application_name}
        self._connections = connections
        self._application_name = application_name
        self._limits = limits
        self._pool: Pool | None = None

    async def __aenter__(self) -> Self:
        pool = self._pool = await self._make_pool()
        show_pool(
            self._application_name,
            in_use=lambda: pool.get_size() - pool.get_idle_size(),
            idle=pool.get_idle_size,
            most=self._connections,
        )
        _open.add(self)
        return self

    async def _make_pool(self) -> "Pool":
        return await asyncpg.create_pool(
            self._url,
            min_size=0,
            max_size=self._connections,
            max_inactive_connection_lifetime=300,
            connection_class=PooledConnection,
            timeout=self._limits.acquire_seconds,
            command_timeout=self._limits.answer_seconds,
            server_settings=self._session,
        )

    async def __aexit__(self, *_: object) -> None:
        _open.discard(self)
        if self._pool is not None:
            hide_pool(self._application_name)
            self._end_pool(self._pool)
            self._pool = None

    def _end_pool(self, pool: "Pool") -> None:
        pool.terminate()

    def connection(self) -> AbstractAsyncContextManager["Connection"]:
        """A connection in autocommit. Raises `Unavailable` when PostgreSQL is down, full or does not answer."""
        assert self._pool is not None, "use the database inside `async with`"
        return _Borrowed(self._pool, self._limits.acquire_seconds, self._doubt_connections)

    async def watch(self) -> NoReturn:
        """Try a connection every second: those that are dead are replaced before somebody needs them."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            with suppress(Unavailable):
                async with self.connection() as connection:
                    await connection.fetchval("SELECT 1", timeout=WATCH_SECONDS)

    async def _doubt_connections(self) -> None:
        """Replace all of this process's connections to this database: they may be as dead as the one without an answer.

        Those in use are replaced once they are free.
        """
        for each in _open:
            if each._url == self._url and each._pool is not None:  # noqa: SLF001 - of the same class
                await each._pool.expire_connections()  # noqa: SLF001

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator["Connection"]:
        """A connection in a READ COMMITTED transaction that commits, and frees its locks, when the block ends.

        It knows the request that causes it, if there is one: the audit trail records that.
        """
        async with self.connection() as connection, transaction_on(connection):
            cause = CAUSE.get()
            if cause is not None and cause.address is not None:
                await connection.execute(_ACT, cause.as_json())
            yield connection

    async def ping(self) -> None:
        """Raises `Unavailable` unless PostgreSQL answers and the schema exists."""
        async with self.connection() as connection:
            try:
                await connection.fetchval("SELECT 1 FROM transfers LIMIT 1")
            except asyncpg.UndefinedTableError as error:
                raise NoSchema(_MIGRATE) from error

    async def check_space(self) -> None:
        """Raises `DiskFull` unless PostgreSQL can write a megabyte, which is deleted at once."""
        async with self.transaction() as connection:
            await connection.execute("SET LOCAL work_mem = '64kB'")
            await connection.fetchval(_WRITE_A_MEGABYTE)


# Until the end of the transaction. Triggers read it.
_ACT = "SELECT set_config('remit.cause', $1, true)"

# The databases that this process has open.
_open: set[Database] = set()

# More rows than fit into `work_mem`, so PostgreSQL keeps them in a temporary file. Takes some milliseconds.
_WRITE_A_MEGABYTE = "SELECT count(*) FROM generate_series(1, 60000)"
