"""Reviews that wait for people, as the people who decide read them. Reads only."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from database.connections import Database
from ledger.ids import CustomerId, TransferId
from ledger.transfers import Transfer
from reviews.review import Ruling


@dataclass(frozen=True, slots=True)
class ReviewDecision:
    """Who of staff decided what, why and when."""

    decided_by: CustomerId
    ruling: Ruling
    reason: str
    decided_at: datetime


@dataclass(frozen=True, slots=True)
class OpenReview:
    """Since when a transfer is in review, until when it may be, how many must approve it, and who has decided."""

    began_at: datetime
    deadline: datetime
    approvals: int
    decisions: list[ReviewDecision] = field(default_factory=list)


# Who is a party of a transfer does not read who decides about it.
_OPEN = """
    SELECT r.transfer_id, r.began_at, r.began_at + make_interval(secs => r.deadline_seconds) AS deadline, r.approvals,
        t.owner_id = $3 OR EXISTS (
            SELECT FROM accounts a
            WHERE a.id IN (t.source_account_id, t.destination_account_id) AND a.owner_id = $3
        ) AS is_party
    FROM unnest($1::text[], $2::int[]) AS wanted (transfer_id, attempt)
    JOIN reviews r USING (transfer_id, attempt) JOIN transfers t ON t.id = r.transfer_id
"""

_DECISIONS = """
    SELECT transfer_id, decider, ruling, reason, decided_at
    FROM review_decisions JOIN unnest($1::text[], $2::int[]) AS wanted (transfer_id, attempt)
        USING (transfer_id, attempt)
    ORDER BY decided_at, decider
"""


class OpenReviews:
    """Raises `Unavailable` where PostgreSQL gave no answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, reader_id: CustomerId, transfers: Sequence[Transfer]) -> Mapping[TransferId, OpenReview]:
        """The reviews of these transfers' present attempts. One that has not begun yet is not among them."""
        wanted = [one.id for one in transfers], [one.attempt for one in transfers]
        decisions: dict[TransferId, list[ReviewDecision]] = defaultdict(list)
        async with self._database.connection() as connection:
            rows = await connection.fetch(_OPEN, *wanted, reader_id)
            for row in await connection.fetch(_DECISIONS, *wanted):
                decisions[row["transfer_id"]].append(
                    ReviewDecision(row["decider"], Ruling(row["ruling"]), row["reason"], row["decided_at"])
                )
        return {
            row["transfer_id"]: OpenReview(
                row["began_at"],
                row["deadline"],
                row["approvals"],
                [] if row["is_party"] else decisions[row["transfer_id"]],
            )
            for row in rows
        }
