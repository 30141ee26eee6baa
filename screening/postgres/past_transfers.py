"""Past transfers and their facts as of then, for dry runs. Reads only."""

from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from database.connections import Database
from ledger.postgres.rows import TRANSFER_COLUMNS, Row, transfer_of
from ledger.transfers import TransferOrder
from screening.dry_run import PastTransfer
from screening.facts import Facts, Need
from screening.postgres.fact_reads import read_past_facts
from screening.postgres.rules_in_force import InForce
from screening.rules import ScreeningAnswer, needs_of

if TYPE_CHECKING:
    from database.connections import Connection

PAGE = 500

# What was refused before its screening never met a rule. Reversals are not screened, and fundings by no rule set.
_SCREENED = """
    t.kind NOT IN ('reversal', 'funding')
        AND (v.answer IS NOT NULL OR r.transfer_id IS NOT NULL OR t.failure_code = 'fraud_declined'
            OR t.state IN ('debited', 'completed', 'compensated'))
"""

_JOINS = """
    LEFT JOIN verdicts v ON v.transfer_id = t.id AND v.attempt = t.attempt
    LEFT JOIN reviews r ON r.transfer_id = t.id AND r.attempt = t.attempt
"""

_COUNT = f"""
    SELECT count(*) FROM transfers t {_JOINS}
    WHERE t.created_at >= now() - $1::interval AND {_SCREENED}
"""

_SINCE = "SELECT now() - $1::interval"

_PAGE = f"""
    SELECT {TRANSFER_COLUMNS}, v.answer, r.transfer_id IS NOT NULL AS was_reviewed
    FROM transfers t {_JOINS}
    WHERE (t.created_at, t.id) > ($1::timestamptz, $2::text) AND {_SCREENED}
    ORDER BY t.created_at, t.id LIMIT $3
"""


class PastTransfers:
    """All raise `Unavailable` where PostgreSQL gave no answer."""

    def __init__(self, database: Database, in_force: InForce) -> None:
        """`in_force` are the rules that are tried. Lists are those of today."""
        self._database = database
        self._in_force = in_force

    async def count(self, within: timedelta) -> int:
        """How many transfers were screened in this time."""
        async with self._database.connection() as connection:
            found: int = await connection.fetchval(_COUNT, within)
        return found

    async def read(self, within: timedelta) -> AsyncIterator[tuple[PastTransfer, Facts]]:
        """The transfers that were screened in this time, oldest first, each with what the rules need of it.

        Facts are as of the moment when each was opened; what was opened later, if only by a moment, is not in them.
        """
        async with self._database.connection() as connection:
            since = await connection.fetchval(_SINCE, within)
        place = (since, "")
        while True:
            async with self._database.connection() as connection:
                rows = await connection.fetch(_PAGE, *place, PAGE)
                for row in rows:
                    past = _past(row)
                    yield past, await self._facts(connection, past.order)
            if len(rows) < PAGE:
                return
            place = (rows[-1]["t_created_at"], rows[-1]["t_id"])

    async def _facts(self, connection: "Connection", order: TransferOrder) -> Facts:
        needs: Iterable[Need] = needs_of(order, self._in_force.rule_set.rules)
        values: Mapping[Need, Any] = await read_past_facts(connection, order, needs) if needs else {}
        return self._in_force.facts(order, values)


def _past(row: Row) -> PastTransfer:
    transfer = transfer_of(row)
    if row["answer"] is not None:
        answer = ScreeningAnswer.named(row["answer"])
    elif transfer.failure is not None and transfer.failure.code == "fraud_declined":
        answer = ScreeningAnswer.DECLINE
    else:
        answer = ScreeningAnswer.REVIEW if row["was_reviewed"] else ScreeningAnswer.ALLOW
    return PastTransfer(transfer.order, transfer.created_at, answer)
