"""Reads records of the audit trail, and writes those of requests that were refused."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Select, and_, bindparam, exists, not_, or_, select
from sqlalchemy.types import BigInteger

from database.connections import Database
from database.paging import Page, fetch_page
from database.rows import columns_for, dataclass_of
from database.statements import one_of
from database.trail.cause import Cause
from ledger.ids import CustomerId
from ledger.postgres.reversals import hidden_from
from ledger.postgres.tables import transfers
from trail.postgres.tables import audit_records
from trail.record import AuditRecord, RecordOutcome

_RECORD_REFUSAL = "SELECT record_refusal($1, $2, $3, $4, $5, $6, $7)"

_COLUMNS = audit_records.c


@dataclass(frozen=True, slots=True)
class AuditSearch:
    """Which records a list holds. A condition that is None does not apply.

    `kind` may end with a dot, for all kinds that begin so. `before_id` is the last record of the page before.
    `hidden_from` leaves out what others did to reverse what this person was paid; `without_sign_ins` leaves out the
    trail of authentication, with its addresses.
    """

    actor_id: str | None = None
    kind: str | None = None
    outcome: RecordOutcome | None = None
    subject: str | None = None
    transfer_id: str | None = None
    request_id: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    before_id: int | None = None
    hidden_from: CustomerId | None = None
    without_sign_ins: bool = False


class AuditRecords:
    """All raise `Unavailable` where PostgreSQL gave no answer."""

    def __init__(self, database: Database, reports: Database | None = None) -> None:
        self._database = database
        self._reports = reports or database

    async def find(self, wanted: AuditSearch, limit: int) -> Page[AuditRecord]:
        """The records, newest first."""
        listed = select(*columns_for(AuditRecord, audit_records)).order_by(_COLUMNS.id.desc())
        listed = _narrowed(listed, wanted)
        async with self._reports.connection() as connection:
            return await fetch_page(connection, listed, limit, lambda row: dataclass_of(AuditRecord, row))

    async def record_refusal(self, kind: str, subject: str, code: str, reason: str, cause: Cause) -> None:
        """Record a request that was refused and so changed nothing, in a transaction of its own."""
        async with self._database.connection() as connection:
            await connection.execute(
                _RECORD_REFUSAL, kind, subject, cause.actor_id, code, reason, cause.request_id, cause.address
            )


def _narrowed(listed: Select[tuple[object, ...]], wanted: AuditSearch) -> Select[tuple[object, ...]]:
    equal = (
        (_COLUMNS.actor_id, wanted.actor_id),
        (_COLUMNS.subject, wanted.subject),
        (_COLUMNS.request_id, wanted.request_id),
    )
    conditions: list[ColumnElement[bool]] = [column == value for column, value in equal if value is not None]
    if wanted.outcome is not None:
        conditions.append(one_of(_COLUMNS.outcome, [wanted.outcome]))
    if wanted.kind is not None:
        is_group = wanted.kind.endswith(".")
        conditions.append(_COLUMNS.kind.startswith(wanted.kind) if is_group else _COLUMNS.kind == wanted.kind)
    if wanted.transfer_id is not None:
        # Two indexes: what happened to the transfer itself has it as its subject.
        about = and_(_COLUMNS.transfer_id == wanted.transfer_id, _COLUMNS.transfer_id != _COLUMNS.subject)
        conditions.append(or_(_COLUMNS.subject == wanted.transfer_id, about))
    if wanted.created_after is not None:
        conditions.append(_COLUMNS.recorded_at >= wanted.created_after)
    if wanted.created_before is not None:
        conditions.append(_COLUMNS.recorded_at < wanted.created_before)
    if wanted.before_id is not None:
        conditions.append(_COLUMNS.id < bindparam("before_id", wanted.before_id, BigInteger))
    if wanted.without_sign_ins:
        conditions.append(not_(_COLUMNS.kind.startswith("auth.")))
    if wanted.hidden_from is not None:
        reader = wanted.hidden_from
        of_reversal = exists().where(transfers.c.id == _COLUMNS.transfer_id, hidden_from(reader, transfers))
        conditions.append(or_(_COLUMNS.actor_id.is_not_distinct_from(reader), not_(of_reversal)))
    return listed.where(*conditions)
