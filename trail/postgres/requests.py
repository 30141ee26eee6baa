"""Writes and reads the records of requests."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg
from sqlalchemy import ColumnElement, or_, select

from database.connections import Database, Unavailable
from database.paging import Page, fetch_page
from database.rows import columns_for, dataclass_of
from trail.postgres.tables import audit_records, request_records
from trail.request import ReceivedRequest, RequestRecord, kept_of

_WRITE = "SELECT record_requests($1::jsonb)"

_COLUMNS = request_records.c


@dataclass(frozen=True, slots=True)
class RequestSearch:
    """Which records a list holds. A condition that is None does not apply.

    `before_id` is the last record of the page before.
    """

    actor_id: str | None = None
    method: str | None = None
    route: str | None = None
    status: int | None = None
    request_id: str | None = None
    transfer_id: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    before_id: int | None = None


class RequestTrail:
    """All raise `Unavailable` where PostgreSQL gave no answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def write(self, received: Sequence[ReceivedRequest]) -> None:
        """Write these requests without their secrets. In doubt they may be written twice."""
        try:
            async with self._database.connection() as connection:
                await connection.execute(_WRITE, json.dumps([kept_of(each) for each in received]))
        except asyncpg.PostgresError as error:  # an older schema
            raise Unavailable(f"PostgreSQL refuses to record requests: {error}") from error

    async def find(self, wanted: RequestSearch, limit: int) -> Page[RequestRecord]:
        """The records, newest first. With a transfer: the requests that caused what is on its trail."""
        listed = select(*columns_for(RequestRecord, request_records)).order_by(_COLUMNS.id.desc())
        listed = listed.where(*_conditions(wanted))
        async with self._database.connection() as connection:
            return await fetch_page(
                connection,
                listed,
                limit,
                lambda row: dataclass_of(RequestRecord, row, caused=json.loads(row["caused"])),
            )


def _conditions(wanted: RequestSearch) -> list[ColumnElement[bool]]:
    equal = (
        (_COLUMNS.actor_id, wanted.actor_id),
        (_COLUMNS.method, wanted.method),
        (_COLUMNS.route, wanted.route),
        (_COLUMNS.status, wanted.status),
        (_COLUMNS.request_id, wanted.request_id),
    )
    conditions: list[ColumnElement[bool]] = [column == value for column, value in equal if value is not None]
    if wanted.transfer_id is not None:
        about = audit_records.c
        of_transfer = or_(
            about.subject == wanted.transfer_id,
            (about.transfer_id == wanted.transfer_id) & (about.transfer_id != about.subject),
        )
        conditions.append(_COLUMNS.request_id.in_(select(about.request_id).where(of_transfer)))
    if wanted.created_after is not None:
        conditions.append(_COLUMNS.recorded_at >= wanted.created_after)
    if wanted.created_before is not None:
        conditions.append(_COLUMNS.recorded_at < wanted.created_before)
    if wanted.before_id is not None:
        conditions.append(_COLUMNS.id < wanted.before_id)
    return conditions
