"""The connection pool, and which errors mean that PostgreSQL gave no answer."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Self

import asyncpg

if TYPE_CHECKING:
    Connection = asyncpg.pool.PoolConnectionProxy[asyncpg.Record]
    Pool = asyncpg.Pool[asyncpg.Record]

# The application does not act as the login role. It switches to a role that may append to the books but not edit them.
APPLICATION_ROLE = "remit_app"

ACQUIRE_SECONDS = 5.0

# All limits are below those of the steps, so that PostgreSQL reports its reason before Temporal gives up.
SESSION = {
    "role": APPLICATION_ROLE,
    "lock_timeout": "2s",
    "statement_timeout": "5s",
    "idle_in_transaction_session_timeout": "10s",
    "timezone": "UTC",
    "jit": "off",
}

# Refused connections and lost ones, restarts and fail-overs (57P0x), full servers (53xxx), lock and statement
# timeouts (55P03, 57014), serialization failures and deadlocks (40xxx): a retry may succeed.
_IN_DOUBT = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # asyncpg raises this when a connection breaks during a statement
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.LockNotAvailableError,
    asyncpg.TransactionRollbackError,
    asyncpg.ReadOnlySQLTransactionError,  # the primary has become a standby
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
)


class Unavailable(Exception):
    """PostgreSQL did not answer. Whether a write happened is in doubt; every write here is safe to repeat."""


class NotText(Exception):
    """A value contains a zero character, which PostgreSQL cannot store as text. Nothing was read or written."""


_MIGRATE = "The database has no schema yet: run `remit migrate`."


class NoSchema(Unavailable):
    """PostgreSQL answers, and the database is empty."""


def _explained(error: BaseException) -> Exception | None:
    """`Unavailable` for an error that means no answer, `NotText` for bad text; None for any other error."""
    if isinstance(error, asyncpg.InvalidParameterValueError):
        return NoSchema(_MIGRATE) if APPLICATION_ROLE in str(error) else None
    if isinstance(error, _IN_DOUBT):
        return Unavailable(f"PostgreSQL did not answer: {type(error).__name__}: {error}")
    if isinstance(error, asyncpg.CharacterNotInRepertoireError):
        return NotText(str(error))
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


class _PooledConnection(asyncpg.Connection):
    """Connections of this pool keep no session state, so nothing needs to be reset (a round trip) on release."""

    def get_reset_query(self) -> str:
        return ""


class _Borrowed:
    """A connection during a block. A class costs less than a generator, and every step of every transfer uses it."""

    __slots__ = ("_connection", "_pool")

    def __init__(self, pool: "Pool") -> None:
        self._pool = pool

    async def __aenter__(self) -> "Connection":
        with in_doubt():
            self._connection = await self._pool.acquire(timeout=ACQUIRE_SECONDS)
        return self._connection

    async def __aexit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        with in_doubt():
            await self._pool.release(self._connection)
        if error is not None and (explained := _explained(error)):
            raise explained from error


class Database:
    """A pool of at most `connections` connections to one database. Connects on first use, and again after a loss."""

    def __init__(self, url: str, connections: int, application_name: str = "remit") -> None:
        self._url = url
        self._connections = connections
        self._application_name = application_name
        self._pool: Pool | None = None

    async def __aenter__(self) -> Self:
        self._pool = await asyncpg.create_pool(
            self._url,
            min_size=0,
            max_size=self._connections,
            max_inactive_connection_lifetime=300,
            connection_class=_PooledConnection,
            timeout=ACQUIRE_SECONDS,
            command_timeout=10,
            server_settings=SESSION | {"application_name": self._application_name},
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.terminate()
            self._pool = None

    def connection(self) -> AbstractAsyncContextManager["Connection"]:
        """A connection in autocommit. Raises `Unavailable` when PostgreSQL is down, full or does not answer."""
        assert self._pool is not None, "use the database inside `async with`"
        return _Borrowed(self._pool)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator["Connection"]:
        """A connection in a READ COMMITTED transaction that commits, and frees its locks, when the block ends."""
        async with self.connection() as connection, connection.transaction():
            yield connection

    async def ping(self) -> None:
        """Raises `Unavailable` unless PostgreSQL answers and the schema exists."""
        async with self.connection() as connection:
            try:
                await connection.fetchval("SELECT 1 FROM transfers LIMIT 1")
            except asyncpg.UndefinedTableError as error:
                raise NoSchema(_MIGRATE) from error
