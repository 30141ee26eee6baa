"""Rebuilds of projections: the next generation is filled beside the shown one, and then shown instead of it.

The row of a rebuild holds its place. Each part is one transaction that locks that row, so a crash loses one part, and
of two workers one waits. Nobody reads the generation until the last part shows it.
"""

import asyncio
import base64
import secrets
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NoReturn

import asyncpg
import structlog
from sqlalchemy import insert

from database.answers import Keep, keeps_nothing
from database.connections import Database, Unavailable
from database.rows import dataclass_of
from database.statements import execute
from events.postgres.stream import read_after
from projections.postgres.projection_sink import READ_MODELS, fold_next
from projections.postgres.read_model import DroppedEvents, ReadModel
from projections.postgres.tables import SLOTS, projection_rebuilds
from projections.projection import (
    NoSuchProjection,
    OutOfOrder,
    ProjectionName,
    ProjectionRebuild,
    ProjectionRebuildId,
    ProjectionRebuildRunning,
    Stage,
)
from staff.actions import Taken
from staff.permissions import Action, Actor, check_allowed
from staff.postgres.actions import Subject, conclude_action, record_actions

if TYPE_CHECKING:
    from database.connections import Connection

log = structlog.get_logger()

EVENTS_AT_ONCE = 500

_SELECT = """
    SELECT r.id, r.projection, r.generation, r.stage, r.position, p.position AS goal, r.starts_after, r.action_id,
        a.actor_id, a.reason, r.requested_at, r.completed_at, r.books_until, r.place_at, r.place_id
    FROM projection_rebuilds r JOIN projections p ON p.name = r.projection
    LEFT JOIN staff_actions a ON a.id = r.action_id
"""
_FIND = f"{_SELECT} WHERE r.id = $1"
_LAST = f"{_SELECT} WHERE r.projection = $1 ORDER BY r.requested_at DESC LIMIT 1"
_WANTED = "SELECT projection FROM projection_rebuilds WHERE completed_at IS NULL ORDER BY projection"
_LOCK_RUNNING = f"{_SELECT} WHERE r.projection = $1 AND r.completed_at IS NULL FOR NO KEY UPDATE OF r SKIP LOCKED"

_SHOWN = "SELECT generation, position FROM projections WHERE name = $1 FOR NO KEY UPDATE"

# Whatever was created a day after the first event that is kept has all of its events.
_BEGIN = """
    UPDATE projection_rebuilds r SET stage = 'books', generation = p.generation + 1, place_at = NULL, place_id = NULL,
        starts_after = h.dropped_through, position = h.dropped_through,
        books_until = CASE WHEN h.dropped_through = 0 THEN h.began_at ELSE coalesce((
            SELECT o.occurred_at FROM outbox_events o WHERE o.position = h.dropped_through + 1
        ), clock_timestamp()) + interval '1 day' END
    FROM event_head h, projections p WHERE r.id = $1 AND p.name = r.projection RETURNING r.generation
"""
_PLACE = "UPDATE projection_rebuilds SET place_at = $2, place_id = $3 WHERE id = $1"
_ENTER = """
    UPDATE projection_rebuilds SET stage = $2,
        completed_at = CASE WHEN $2 = 'completed' THEN clock_timestamp() END
    WHERE id = $1
"""
_MOVE = "UPDATE projection_rebuilds SET position = $2 WHERE id = $1"
_BEGIN_ANEW = """
    UPDATE projection_rebuilds SET stage = 'requested', generation = NULL, starts_after = NULL, books_until = NULL
    WHERE id = $1
"""
_SHOW = "UPDATE projections SET generation = $2, position = $3, applied_at = clock_timestamp() WHERE name = $1"
_DROPPED_THROUGH = "SELECT dropped_through FROM event_head"


# How often a worker looks whether somebody has asked for a rebuild.
POLL_SECONDS = 1


async def keep_rebuilding(database: Database) -> NoReturn:
    """Do the rebuilds that are asked for, for ever. Every worker may: each part is done by one of them."""
    rebuilds, failing = ProjectionRebuilds(database), False
    while True:
        try:
            is_idle = not any([await rebuilds.proceed(name) for name in await rebuilds.wanted()])
        except (Unavailable, asyncpg.PostgresError, OutOfOrder) as error:
            if not failing:
                log.warning("the rebuild of a projection has to wait", error=" ".join(str(error).split()))
            failing = is_idle = True
        else:
            if failing:
                log.info("the rebuild of a projection goes on")
            failing = False
        if is_idle:
            await asyncio.sleep(POLL_SECONDS)


class ProjectionRebuilds:
    """All raise `Unavailable` where PostgreSQL gave no answer; every call is safe to repeat, but for `request`."""

    def __init__(self, database: Database, models: Sequence[ReadModel] = READ_MODELS) -> None:
        self._database = database
        self._models: Mapping[str, ReadModel] = {model.name: model for model in models}

    async def request(
        self, actor: Actor, name: str, reason: str, keep: Keep[ProjectionRebuild] = keeps_nothing
    ) -> ProjectionRebuild:
        """Record that somebody wants a projection rebuilt. Workers do it, beside the one that is shown.

        Raises `NotAllowed`, `NoSuchProjection`, and `ProjectionRebuildRunning` while an earlier one goes on.
        """
        check_allowed(actor, Action.REBUILD_PROJECTION)
        if name not in self._models:
            raise NoSuchProjection(name)
        projection, rebuild_id = ProjectionName(name), _new_id()
        async with self._database.transaction() as connection:
            asked = {"rebuild_id": rebuild_id}
            (action_id,) = await record_actions(
                connection, actor, Action.REBUILD_PROJECTION, [Subject(projection)], reason, asked, request=rebuild_id
            )
            row = {"id": rebuild_id, "projection": projection, "action_id": action_id}
            try:
                await execute(connection, insert(projection_rebuilds).values(**row))
            except asyncpg.UniqueViolationError as error:
                raise ProjectionRebuildRunning(projection) from error
            requested = _rebuild_of(await connection.fetchrow(_FIND, rebuild_id))
            await keep(connection, requested)
        return requested

    async def last(self, name: ProjectionName) -> ProjectionRebuild | None:
        """The newest rebuild of a projection."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(_LAST, name)
        return _rebuild_of(row) if row else None

    async def wanted(self) -> list[ProjectionName]:
        """The projections that are to be rebuilt or are being rebuilt; mostly there are none."""
        async with self._database.connection() as connection:
            return [ProjectionName(row["projection"]) for row in await connection.fetch(_WANTED)]

    async def proceed(self, name: ProjectionName) -> bool:
        """Do the next part of the projection's rebuild. False: there is none, or another process does it now."""
        async with self._database.transaction() as connection:
            return await self.proceed_on(connection, name)

    async def proceed_on(self, connection: "Connection", name: ProjectionName) -> bool:
        """The same on this connection, in its transaction."""
        row = await connection.fetchrow(_LOCK_RUNNING, name)
        if row is None:
            return False
        found, model = _rebuild_of(row), self._models[name]
        if found.generation is None:
            await connection.fetchrow(_SHOWN, name)
            await _empty(connection, name, await connection.fetchval(_BEGIN, found.id))
        elif found.stage is Stage.BOOKS:
            await self._take_from_books(connection, model, found.generation, row)
        elif found.stage is Stage.EVENTS:
            await self._follow(connection, model, found, found.generation)
        else:
            await _empty(connection, name, found.generation - 1)
            await connection.execute(_ENTER, found.id, Stage.COMPLETED)
            log.info("a projection is rebuilt", projection=name, generation=found.generation)
        return True

    @staticmethod
    async def _take_from_books(
        connection: "Connection", model: ReadModel, generation: int, row: asyncpg.Record
    ) -> None:
        dropped = DroppedEvents(row["starts_after"], row["books_until"])
        after = None if row["place_id"] is None else (row["place_at"], row["place_id"])
        place = await model.take_from_books(connection, generation % SLOTS, dropped, after)
        if place is None:
            await connection.execute(_ENTER, row["id"], Stage.EVENTS)
        else:
            await connection.execute(_PLACE, row["id"], *place)

    @staticmethod
    async def _follow(connection: "Connection", model: ReadModel, found: ProjectionRebuild, generation: int) -> None:
        """Fold the next events. Once few are left, hold the shown generation, fold the rest, and show this one.

        Events that were dropped meanwhile are taken from the books: it begins anew.
        """
        if found.position < await connection.fetchval(_DROPPED_THROUGH):
            await connection.execute(_BEGIN_ANEW, found.id)
            return
        position, folded = await _fold_some(connection, model, generation, found.position)
        if folded < EVENTS_AT_ONCE:
            await connection.fetchrow(_SHOWN, found.projection)
            position, folded = await _fold_some(connection, model, generation, position)
        await connection.execute(_MOVE, found.id, position)
        if folded < EVENTS_AT_ONCE:
            await connection.execute(_SHOW, found.projection, generation, position)
            await connection.execute(_ENTER, found.id, Stage.DROPPING)
            if found.action_id is not None:
                shown = {"generation": generation, "position": position}
                await conclude_action(connection, found.action_id, Taken("Rebuilt, and shown.", shown))


async def _fold_some(connection: "Connection", model: ReadModel, generation: int, position: int) -> tuple[int, int]:
    """Fold the next events. The position behind them, and how many there were."""
    events = await read_after(connection, position, EVENTS_AT_ONCE)
    if events:
        await fold_next(connection, model, generation, position, events)
    return (events[-1].position if events else position), len(events)


async def _empty(connection: "Connection", name: ProjectionName, generation: int) -> None:
    """Drop all rows of a generation that nobody reads."""
    await connection.execute(f"TRUNCATE {name}_{generation % SLOTS}")


def _rebuild_of(row: asyncpg.Record | None) -> ProjectionRebuild:
    assert row is not None
    return dataclass_of(ProjectionRebuild, row)


def _new_id() -> ProjectionRebuildId:
    return ProjectionRebuildId("prb_" + base64.b32encode(secrets.token_bytes(16)).decode().rstrip("=").lower())
