"""A database whose statements are explained: which plans they have, and how long they take."""

import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import asyncpg
from asyncpg.connection import LoggedQuery

from database.connections import LISTS, Database

if TYPE_CHECKING:
    from database.connections import Connection

Answer = TypeVar("Answer")

# Tables that grow with the number of transfers, or with the years.
GROWING = {"transfers", "keys", "postings", "entries", "notifications", "attempts"} | {
    *("accounts", "batches", "batch_items", "batch_chunks", "standing_orders", "standing_order_occurrences"),
    *("account_statements", "account_statement_totals"),
}


@dataclass(frozen=True)
class Plan:
    """How PostgreSQL carries out one statement."""

    statement: str
    nodes: list[dict[str, Any]]

    @property
    def sequential(self) -> set[str]:
        """The tables that grow and are read from end to end."""
        return {
            node["Relation Name"]
            for node in self.nodes
            if node["Node Type"] == "Seq Scan" and node["Relation Name"] in GROWING
        }

    @property
    def discarded(self) -> int:
        """The rows that were read, and are no part of the answer."""
        return sum(node.get("Rows Removed by Filter", 0) * node["Actual Loops"] for node in self.nodes)

    @property
    def scans(self) -> list[str]:
        """Each scan with its index and the rows that it read."""
        return [
            f"{node['Node Type']} {node.get('Index Name') or node.get('Relation Name')}: "
            f"{node['Actual Rows'] * node['Actual Loops'] + node.get('Rows Removed by Filter', 0):,.0f} rows"
            for node in self.nodes
            if "Scan" in node["Node Type"] and node["Node Type"] not in {"CTE Scan", "Subquery Scan", "Function Scan"}
        ]


@dataclass(frozen=True)
class Explained:
    """What a read did: its plans, and the milliseconds of its median and slowest run."""

    plans: list[Plan]
    median_ms: float
    slowest_ms: float

    @property
    def sequential(self) -> set[str]:
        return {table for plan in self.plans for table in plan.sequential}

    @property
    def discarded(self) -> int:
        return sum(plan.discarded for plan in self.plans)


class ExplainedDatabase(Database):
    """Remembers the statements of its connections while it explains a read."""

    def __init__(self, url: str, connections: int) -> None:
        super().__init__(url, connections, session=LISTS)
        self.url = url
        self._ran: list[LoggedQuery] | None = None

    @asynccontextmanager
    async def connection(self) -> AsyncIterator["Connection"]:
        async with super().connection() as connection:
            if self._ran is None:
                yield connection
                return
            remember = self._ran.append
            with connection.query_logger(remember):
                yield connection

    async def explain(self, read: Callable[[], Awaitable[object]], *, as_it_is: bool, runs: int) -> Explained:
        """Run the read, explain its statements, and time it: often enough for PostgreSQL to keep a generic plan.

        Small tables are read from end to end because they are small. Without `as_it_is` only a plan does that which
        has no index to use.
        """
        self._ran = []
        await read()
        ran, self._ran = self._ran, None
        milliseconds = sorted([await _timed(read) for _ in range(runs)])
        connection = await asyncpg.connect(self.url)
        try:
            await connection.execute("SET jit = off")
            if not as_it_is:
                await connection.execute("SET enable_seqscan = off")
            plans = [await _plan(connection, query) for query in ran if _is_read(query.query)]
        finally:
            await connection.close()
        return Explained(plans, milliseconds[len(milliseconds) // 2], milliseconds[-1])


def _is_read(query: str) -> bool:
    return query.lstrip().upper().startswith(("SELECT", "WITH", "("))


async def _timed(read: Callable[[], Awaitable[object]]) -> float:
    began = time.perf_counter()
    await read()
    return (time.perf_counter() - began) * 1_000


async def _plan(connection: "asyncpg.Connection[asyncpg.Record]", query: LoggedQuery) -> Plan:
    explained = await connection.fetchval(
        f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {query.query}", *query.args, timeout=600
    )
    return Plan(query.query, list(_nodes(json.loads(explained)[0]["Plan"])))


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", []):
        yield from _nodes(child)
