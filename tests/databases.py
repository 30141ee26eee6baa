"""Databases for tests: each test finds a migrated, empty one, with connections that are open already.

To copy a template, open connections and plan every statement anew costs more than most tests do. So a database is
emptied after its test and used again. It is dropped instead where the test changed definitions (an event trigger
notes that) or settings, wrote much, or still uses a connection.
"""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self

import asyncpg
import pytest

from database import connections
from database.connections import Database
from database.pool_gauges import hide_pool
from tests.connections import Connection

# More rows than this are dropped with their database: deleted rows stay in the files until they are vacuumed.
_ROWS_AT_MOST = 5_000

# What a worker calls its pools.
WORKERS_POOLS = {"remit-worker", "remit-events"}

_NOTE_CHANGED_DEFINITIONS = """
    CREATE TABLE tests.changed_definitions (what text);
    CREATE FUNCTION tests.note_change() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
    BEGIN
        IF tg_tag LIKE 'DROP%' OR EXISTS (
            SELECT FROM pg_event_trigger_ddl_commands() WHERE schema_name IS DISTINCT FROM 'pg_temp'
        ) THEN
            INSERT INTO tests.changed_definitions VALUES (tg_tag);
        END IF;
    END $$;
    CREATE EVENT TRIGGER note_change ON ddl_command_end EXECUTE FUNCTION tests.note_change();
"""

_TABLES = """
    SELECT relname FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
        AND relname <> 'alembic_version'
    ORDER BY relname
"""

_COLUMNS = """
    SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
    WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
"""

_SEQUENCES = """
    SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'S' ORDER BY relname
"""

_IS_CHANGED = """
    SELECT EXISTS (SELECT FROM tests.changed_definitions)
        OR EXISTS (SELECT FROM pg_db_role_setting
                   WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database()))
"""

_END_OTHER_SESSIONS = """
    SELECT bool_and(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity
    WHERE datname = current_database() AND backend_type = 'client backend'
        AND pid <> pg_backend_pid() AND pid <> ALL($1::int[])
"""

_EMPTY = """
    CREATE FUNCTION tests.empty() RETURNS bigint LANGUAGE plpgsql SET session_replication_role = replica AS $$
    DECLARE
        deleted bigint;
        total bigint := 0;
    BEGIN
        {statements}
        RETURN total;
    END $$
"""

_DELETE = """
        DELETE FROM {table};
        GET DIAGNOSTICS deleted = ROW_COUNT;
        total := total + deleted;
"""


class Eraser:
    """Empties a database, which its triggers refuse to everybody else: what the migrations wrote is there again."""

    def __init__(self, superuser: Connection) -> None:
        self._superuser = superuser

    @classmethod
    async def of(cls, superuser: Connection) -> Self:
        """The database is new: it holds what the migrations wrote and nothing else."""
        await superuser.execute("CREATE SCHEMA tests")
        statements = []
        for row in await superuser.fetch(_TABLES):
            table, seeds = f"public.{row['relname']}", f"tests.{row['relname']}"
            statements.append(_DELETE.format(table=table))
            if await superuser.fetchval(f"SELECT EXISTS (SELECT FROM {table})"):
                columns = await superuser.fetchval(_COLUMNS, table)
                await superuser.execute(f"CREATE TABLE {seeds} AS SELECT {columns} FROM {table}")
                statements.append(
                    f"INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} FROM {seeds};"
                )
        for row in await superuser.fetch(_SEQUENCES):
            name = f"public.{row['relname']}"
            last, called = await superuser.fetchrow(f"SELECT last_value, is_called FROM {name}") or (1, False)
            statements.append(f"PERFORM setval('{name}', {last}, {called});")
        await superuser.execute(_EMPTY.format(statements="\n".join(statements)))
        return cls(superuser)

    async def empty(self) -> int:
        """How many rows there were."""
        return int(await self._superuser.fetchval("SELECT tests.empty()"))


class _Lent(Database):
    """A database whose pool of connections outlives it."""

    def __init__(self, url: str, role: str, pool: "connections.Pool | None") -> None:
        super().__init__(url, connections=10, role=role)
        self.role = role
        self._lent = pool

    async def __aenter__(self) -> Self:
        if self._lent is None:
            return await super().__aenter__()
        self._pool = self._lent
        return self

    def take_back(self) -> "connections.Pool | None":
        """Its pool. Whatever still runs after the test finds this database closed."""
        pool, self._pool = self._pool, None
        hide_pool(self._application_name)
        connections._open.discard(self)  # noqa: SLF001
        return pool


class OwnDatabase:
    """One database, for one test after the other."""

    def __init__(self, name: str, url: str, superuser: Connection, eraser: Eraser) -> None:
        self.name = name
        self.url = url
        self._superuser = superuser
        self.eraser = eraser
        # By the name of the application and the role, which each connection has for good.
        self._pools: dict[tuple[str, str], connections.Pool] = {}

    def lend(self, role: str) -> _Lent:
        return _Lent(self.url, role, self.take_pool(("test", role)))

    def keep(self, lent: _Lent) -> None:
        if (pool := lent.take_back()) is not None:
            self.keep_pool(("test", lent.role), pool)

    def take_pool(self, key: tuple[str, str]) -> "connections.Pool | None":
        return self._pools.pop(key, None)

    def keep_pool(self, key: tuple[str, str], pool: "connections.Pool") -> None:
        if key in self._pools:  # the test opened two
            pool.terminate()
        else:
            self._pools[key] = pool

    async def emptied(self) -> bool:
        """True if the next test may have it; else it must be dropped."""
        pids = self._pids()
        if pids is None or await self._superuser.fetchval(_IS_CHANGED):
            return False
        if await self._superuser.fetchval(_END_OTHER_SESSIONS, pids) is False:
            return False
        return await self.eraser.empty() <= _ROWS_AT_MOST

    def _pids(self) -> list[int] | None:
        """The server's processes behind the pools; None if one of their connections is still in use."""
        pools = self._pools.values()
        if any(pool.get_size() > pool.get_idle_size() for pool in pools):
            return None
        held = [holder._con for pool in pools for holder in pool._holders]  # type: ignore[attr-defined]  # noqa: SLF001
        return [connection.get_server_pid() for connection in held if connection is not None]

    async def close(self) -> None:
        for pool in self._pools.values():
            pool.terminate()
        await self._superuser.close()


class Databases:
    """Makes databases from a migrated template, and keeps those that can be used again."""

    def __init__(self, server: Connection, template: str, url_of: Callable[[str], str]) -> None:
        self._server = server
        self._template = template
        self._url_of = url_of
        self._free: list[OwnDatabase] = []
        self._used: dict[str, OwnDatabase] = {}

    @contextmanager
    def lent_to_workers(self) -> Iterator[None]:
        """Meanwhile the pools of a worker in a test's process outlive it, too: most of its work is to plan."""
        make_pool, end_pool = Database._make_pool, Database._end_pool  # noqa: SLF001

        def place_of(database: Database) -> tuple[OwnDatabase, tuple[str, str]] | None:
            own, name = self._used.get(database._url), database._application_name  # noqa: SLF001
            return (own, (name, database._session["role"])) if own and name in WORKERS_POOLS else None  # noqa: SLF001

        async def lent(database: Database) -> "connections.Pool":
            place = place_of(database)
            pool = place[0].take_pool(place[1]) if place else None
            return pool or await make_pool(database)

        def kept(database: Database, pool: "connections.Pool") -> None:
            if place := place_of(database):
                place[0].keep_pool(place[1], pool)
            else:
                end_pool(database, pool)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Database, "_make_pool", lent)
            patch.setattr(Database, "_end_pool", kept)
            yield

    async def take(self) -> OwnDatabase:
        own = self._free.pop() if self._free else await self._make()
        self._used[own.url] = own
        return own

    async def _make(self) -> OwnDatabase:
        name = f"test_{secrets.token_hex(6)}"
        await self._server.execute(f"CREATE DATABASE {name} TEMPLATE {self._template}")
        superuser = await asyncpg.connect(self._url_of(name))
        eraser = await Eraser.of(superuser)
        await superuser.execute(_NOTE_CHANGED_DEFINITIONS)
        return OwnDatabase(name, self._url_of(name), superuser, eraser)

    async def give_back(self, used: OwnDatabase) -> None:
        del self._used[used.url]
        try:
            again = await used.emptied()
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            again = False  # the test renamed it, or ended our connection
        if again:
            self._free.append(used)
            return
        await used.close()
        await self._server.execute(f"DROP DATABASE IF EXISTS {used.name} WITH (FORCE)")

    async def close(self) -> None:
        for each in self._free:
            await each.close()
