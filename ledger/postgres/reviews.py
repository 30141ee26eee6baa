"""Reviews and what people say in them: when each began and on what terms, who decided what, who was reminded.

Everything here only grows. A review is of one attempt of a transfer; whatever is run again finds it as it was.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from ledger.postgres.database import Database
from ledger.postgres.rows import only
from ledger.reviews import Decision, ReviewTerms, Ruling
from ledger.steering import Instruction
from ledger.transfers import Step

if TYPE_CHECKING:
    from ledger.postgres.database import Connection

# It began when the transfer's row came to be in review, which nothing changes until it is there no more.
_BEGIN = """
    INSERT INTO reviews (transfer_id, attempt, began_at, deadline_seconds, remind_after_seconds, approvals)
    SELECT id, attempt, updated_at, $3, $4, $5 FROM transfers WHERE id = $1 AND attempt = $2
    ON CONFLICT DO NOTHING
"""

_BEGUN = """
    SELECT deadline_seconds, remind_after_seconds, approvals,
        greatest(0, floor(extract(epoch FROM clock_timestamp() - began_at)))::bigint AS elapsed_seconds
    FROM reviews WHERE transfer_id = $1 AND attempt = $2
"""

_DECISIONS = """
    SELECT decider, ruling, reason FROM review_decisions
    WHERE transfer_id = $1 AND attempt = $2 ORDER BY decided_at, decider
"""

_WRITE_DECISION = """
    INSERT INTO review_decisions (transfer_id, attempt, decider, ruling, reason) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT DO NOTHING
"""

_WRITE_INSTRUCTION = """
    INSERT INTO instructions (transfer_id, attempt, action, actor, reason, state)
    SELECT id, $2, $3, $4, $5, state FROM transfers WHERE id = $1
"""

_REMIND = "INSERT INTO review_reminders (transfer_id, attempt) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING 1"


async def begun(connection: "Connection", step: Step, terms: ReviewTerms) -> tuple[ReviewTerms, int]:
    """The terms that the review began on, which are these where it begins now, and the seconds since then.

    For the transaction that holds the transfer's row and has put it in review.
    """
    await connection.execute(
        _BEGIN,
        step.transfer_id,
        step.attempt,
        terms.deadline_seconds,
        terms.remind_after_seconds,
        terms.approvals,
    )
    row = only(await connection.fetchrow(_BEGUN, step.transfer_id, step.attempt))
    kept = ReviewTerms(row["deadline_seconds"], row["remind_after_seconds"], row["approvals"])
    return kept, row["elapsed_seconds"]


async def decisions_of(connection: "Connection", step: Step) -> list[Decision]:
    """What was decided about this attempt, in the order of time."""
    rows = await connection.fetch(_DECISIONS, step.transfer_id, step.attempt)
    return [Decision(row["decider"], Ruling(row["ruling"]), row["reason"]) for row in rows]


class Reviews:
    """What people say, kept for good. All raise `Unavailable` where PostgreSQL gave no answer: in doubt, ask again."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def write_decision(self, step: Step, decision: Decision) -> None:
        """Keep a reviewer's word. The first one of each counts; a repeat changes nothing."""
        async with self._database.connection() as connection:
            await connection.execute(
                _WRITE_DECISION, step.transfer_id, step.attempt, decision.decider, decision.ruling, decision.reason
            )

    async def write_instruction(self, step: Step, action: str, instruction: Instruction) -> None:
        """Keep what a person asked of the transfer, and the state it was in."""
        async with self._database.connection() as connection:
            await connection.execute(
                _WRITE_INSTRUCTION, step.transfer_id, step.attempt, action, instruction.actor, instruction.reason
            )

    @asynccontextmanager
    async def reminding(self, step: Step) -> AsyncIterator[bool]:
        """Whether the reviewers of this attempt are to be reminded now, which is once.

        That they were is kept when the block ends: a reminder that fails comes again, one that was made does not.
        """
        async with self._database.transaction() as connection:
            yield await connection.fetchval(_REMIND, step.transfer_id, step.attempt) is not None
