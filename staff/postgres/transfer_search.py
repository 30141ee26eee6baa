"""Transfers of all customers, found by staff. Reads only."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from database.connections import Database
from ledger.ids import AccountId, CustomerId, TransferId
from ledger.postgres.rows import TRANSFER_COLUMNS, transfer_of
from ledger.transfers import Kind, State, Transfer


@dataclass(frozen=True, slots=True)
class Flagged:
    """The transfers that Temporal marks as needing attention, by the workflows that drive them.

    `workflow_ids` are of attempts, `recovered` the transfers that recovery drives on. A list holds those of them that
    are not final, or with `wanted` false all but those: what the ledger knows to have ended needs nobody any more.
    """

    workflow_ids: list[str]
    recovered: list[TransferId]
    wanted: bool = True


@dataclass(frozen=True, slots=True)
class TransferSearch:
    """Which transfers a list holds; what is None does not matter.

    `unmoved_for` keeps those that are not final and have not moved for that long. `before` is the creation time and id
    of the last one seen.
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
    unmoved_for: timedelta | None = None
    flagged: Flagged | None = None
    before: tuple[datetime, str] | None = None


_NOT_FINAL = "t.state IN ('initiated', 'in_review', 'debited')"


_FLAGGED = f"({_NOT_FINAL} AND (t.workflow_id = ANY ({{}}::text[]) OR t.id = ANY ({{}}::text[]))) = {{}}::boolean"


_OWNERS = "SELECT DISTINCT owner_id FROM accounts WHERE id = ANY ($1)"


class TransferSearches:
    """All raise `Unavailable` where PostgreSQL gave no answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, wanted: TransferSearch, limit: int) -> list[Transfer]:
        """Anybody's transfers, newest first."""
        flagged = wanted.flagged
        asked: list[tuple[str, Sequence[object | None]]] = [
            ("t.state = {}", [wanted.state]),
            ("t.kind = {}", [wanted.kind]),
            ("{} IN (t.source_account_id, t.destination_account_id)", [wanted.account_id]),
            ("t.owner_id = {}", [wanted.owner_id]),
            ("t.currency = {}", [wanted.currency]),
            ("t.amount_minor >= {}", [wanted.least_minor]),
            ("t.amount_minor <= {}", [wanted.most_minor]),
            ("t.created_at >= {}", [wanted.created_after]),
            ("t.created_at < {}", [wanted.created_before]),
            (f"{_NOT_FINAL} AND t.updated_at <= clock_timestamp() - {{}}::interval", [wanted.unmoved_for]),
            (_FLAGGED, [flagged.workflow_ids, flagged.recovered, flagged.wanted] if flagged else [None]),
            ("(t.created_at, t.id) < ({}, {})", wanted.before or [None]),
        ]
        where, values = _conditions(asked)
        query = f"""
            SELECT {TRANSFER_COLUMNS} FROM transfers t WHERE {where}
            ORDER BY t.created_at DESC, t.id DESC LIMIT ${len(values) + 1}
        """
        async with self._database.connection() as connection:
            return [transfer_of(row) for row in await connection.fetch(query, *values, limit)]

    async def owners(self, account_ids: Sequence[AccountId]) -> set[CustomerId]:
        """Who owns these accounts."""
        async with self._database.connection() as connection:
            rows = await connection.fetch("SELECT DISTINCT owner_id FROM accounts WHERE id = ANY ($1)", account_ids)
        return {row["owner_id"] for row in rows}


def _conditions(asked: Sequence[tuple[str, Sequence[object | None]]]) -> tuple[str, list[object]]:
    """The conditions whose values are given, joined and numbered, and the values. Conditions are constants."""
    parts, values = ["true"], list[object]()
    for condition, given in asked:
        if None in given:
            continue
        numbers = [f"${len(values) + place}" for place in range(1, len(given) + 1)]
        parts.append(condition.format(*numbers))
        values += given
    return " AND ".join(parts), values
