"""Transfers of all customers, found by staff. Reads only."""

import operator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Select, Text, and_, any_, func, literal, not_, or_, select, true

from database.connections import Database
from database.paging import Page, Place, fetch_page, newest_of
from database.statements import one_of
from ledger.ids import AccountId, CustomerId, TransferId
from ledger.postgres.reversals import hidden_from
from ledger.postgres.rows import TRANSFER, transfer_of
from ledger.postgres.tables import ENDED_OTHERWISE, IS_COMPLETED, NOT_FINAL, transfers
from ledger.transfers import Kind, State, Transfer


@dataclass(frozen=True, slots=True)
class Flagged:
    """The transfers that Temporal marks as needing attention, by the workflows that drive them.

    `workflow_ids` are of attempts, `recovered` the transfers that recovery drives on. A list holds those of them that
    are not final, or with `wanted` false all others: a transfer that is final needs no attention, whatever its mark.
    """

    workflow_ids: list[str]
    recovered: list[TransferId]
    wanted: bool = True


@dataclass(frozen=True, slots=True)
class TransferSearch:
    """Which transfers a list holds. A condition that is None does not apply.

    `unchanged_since` keeps those whose row is as it was then: in review, those whose review had begun.
    `hidden_from` leaves out what even staff do not see: others' attempts to reverse what they were paid themselves.
    `unmoved_for` keeps those that are not final and have not changed for that long. `before` is the place of the last
    transfer of the page before.
    """

    state: State | None = None
    kind: Kind | None = None
    account_id: AccountId | None = None
    owner_id: CustomerId | None = None
    currency: str | None = None
    least_minor: int | None = None
    most_minor: int | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    transaction_id: str | None = None
    unmoved_for: timedelta | None = None
    unchanged_since: datetime | None = None
    flagged: Flagged | None = None
    hidden_from: CustomerId | None = None
    before: Place | None = None


class TransferSearches:
    """All raise `Unavailable` if PostgreSQL gave no answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, wanted: TransferSearch, limit: int) -> Page[Transfer]:
        """Anybody's transfers, newest first."""
        async with self._database.connection() as connection:
            return await fetch_page(connection, matching(wanted), limit, transfer_of, wanted.before)


def matching(wanted: TransferSearch) -> Select[Any]:
    """The transfers that match, newest first."""
    found = select(*TRANSFER).where(true(), *_conditions(wanted))
    branches = [found.where(*branch) for branch in _branches(wanted)]
    return newest_of(branches, transfers.c.created_at, transfers.c.id, behind=wanted.before is not None)


def _branches(wanted: TransferSearch) -> list[list[ColumnElement[bool]]]:
    """Conditions of which each transfer that matches fulfils one, and which have an index each."""
    source, destination = transfers.c.source_account_id, transfers.c.destination_account_id
    if wanted.account_id is not None:
        return [[source == wanted.account_id], [destination == wanted.account_id, source != wanted.account_id]]
    is_flagged = wanted.flagged is not None and wanted.flagged.wanted
    if wanted.state or wanted.transaction_id or wanted.unmoved_for is not None or is_flagged:
        return [[]]
    by_row = (wanted.owner_id, wanted.currency, wanted.least_minor, wanted.most_minor)
    if wanted.kind is not Kind.TRANSFER and all(filter_ is None for filter_ in by_row):
        return [[]]
    return [[IS_COMPLETED], [ENDED_OTHERWISE], [NOT_FINAL]]


def _conditions(wanted: TransferSearch) -> list[ColumnElement[bool]]:
    columns = transfers.c
    compared = (
        (operator.eq, columns.currency, wanted.currency),
        (operator.eq, columns.owner_id, wanted.owner_id),
        (operator.ge, columns.amount_minor, wanted.least_minor),
        (operator.le, columns.amount_minor, wanted.most_minor),
        (operator.ge, columns.created_at, wanted.created_after),
        (operator.lt, columns.created_at, wanted.created_before),
        (operator.lt, columns.updated_at, wanted.unchanged_since),
        (operator.eq, columns.transaction_id, wanted.transaction_id),
    )
    found: list[ColumnElement[bool]] = [
        compare(column, value) for compare, column, value in compared if value is not None
    ]
    # As constants: PostgreSQL uses a partial index only for conditions that it can compare with the index's own.
    if wanted.state is not None:
        found.append(one_of(columns.state, [wanted.state]))
    if wanted.kind is not None:
        found.append(one_of(columns.kind, [wanted.kind]))
    if wanted.unmoved_for is not None:
        found += [NOT_FINAL, columns.updated_at <= func.now() - wanted.unmoved_for]
    if wanted.hidden_from is not None:
        found.append(not_(hidden_from(wanted.hidden_from)))
    if wanted.flagged is not None:
        found.append(_is_flagged(wanted.flagged))
    return found


def _is_flagged(flagged: Flagged) -> ColumnElement[bool]:
    by_workflow = transfers.c.workflow_id == any_(literal(flagged.workflow_ids, ARRAY(Text)))
    by_recovery = transfers.c.id == any_(literal(flagged.recovered, ARRAY(Text)))
    is_flagged = and_(NOT_FINAL, or_(by_workflow, by_recovery))
    return is_flagged if flagged.wanted else not_(is_flagged)
