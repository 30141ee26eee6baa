"""What screening said about a transfer, for staff. Reads only."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from database.connections import Database
from database.rows import dataclass_of
from ledger.ids import CustomerId, RuleSetId, TransferId


@dataclass(frozen=True, slots=True)
class KeptVerdict:
    """The verdict on one attempt, with what its rules found and saw."""

    attempt: int
    answer: str
    rule_set_id: RuleSetId
    findings: list[dict[str, Any]]
    facts: dict[str, Any]
    screened_at: datetime


@dataclass(frozen=True, slots=True)
class TransferVerdicts:
    """The verdicts on a transfer that were no plain allow. `screened_by`: the rules that let it pass."""

    transfer_id: TransferId
    screened_by: RuleSetId | None
    items: list[KeptVerdict]


_TRANSFER = """
    SELECT t.id, t.screened_by FROM transfers t
    WHERE t.id = $1 AND t.owner_id <> $2 AND NOT EXISTS (
        SELECT FROM accounts a
        WHERE a.id IN (t.source_account_id, t.destination_account_id) AND a.owner_id = $2
    )
"""

_VERDICTS = """
    SELECT attempt, answer, rule_set_id, findings, facts, screened_at FROM verdicts WHERE transfer_id = $1
    ORDER BY attempt
"""


class VerdictReads:
    """All raise `Unavailable` where PostgreSQL gave no answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def about(self, reader_id: CustomerId, transfer_id: TransferId) -> TransferVerdicts | None:
        """None: there is no such transfer, or the reader is a party of it."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(_TRANSFER, transfer_id, reader_id)
            if row is None:
                return None
            found = await connection.fetch(_VERDICTS, transfer_id)
        items = [dataclass_of(KeptVerdict, each, findings=json.loads(each["findings"])) for each in found]
        return TransferVerdicts(row["id"], row["screened_by"], items)
