"""Reviews and what people say in them: when each began and on what terms, who decided what, who was reminded.

Everything here only grows. A review is of one attempt of a transfer; whatever is run again finds it as it was.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from sqlalchemy import Column, ForeignKey, Index, Integer, SmallInteger, Table, Text, text

from database.connections import Database
from database.metadata import METADATA, Timestamp, required
from ledger.ids import CustomerId
from ledger.postgres.book import put_in_review
from ledger.postgres.rows import only
from ledger.refusals import UnknownTransfer
from ledger.transfers import Step
from reviews.review import DecidedAlready, Decision, Review, ReviewTerms, Ruling
from staff.instructions import Instruction
from staff.permissions import STAFF, Action, ConflictOfInterest, NotStaff, Role

if TYPE_CHECKING:
    from database.connections import Connection

reviews = Table(
    "reviews",
    METADATA,
    Column("transfer_id", Text, ForeignKey("transfers.id"), primary_key=True),
    Column("attempt", SmallInteger, primary_key=True),
    required("began_at", Timestamp),
    required("deadline_seconds", Integer),
    required("remind_after_seconds", Integer),
    required("approvals", SmallInteger),
)

review_decisions = Table(
    "review_decisions",
    METADATA,
    Column("transfer_id", Text, ForeignKey("transfers.id"), primary_key=True),
    Column("attempt", SmallInteger, primary_key=True),
    Column("decider", Text, primary_key=True),
    required("ruling", Text),
    required("reason", Text),
    required("decided_at", Timestamp, server_default=text("clock_timestamp()")),
    Column("request", Text),
    Column("action_id", Text, ForeignKey("operator_actions.id")),
)
Index(
    "review_decisions_by_action",
    review_decisions.c.action_id,
    postgresql_where=review_decisions.c.action_id.is_not(None),
)

review_reminders = Table(
    "review_reminders",
    METADATA,
    Column("transfer_id", Text, ForeignKey("transfers.id"), primary_key=True),
    Column("attempt", SmallInteger, primary_key=True),
    required("reminded_at", Timestamp, server_default=text("clock_timestamp()")),
)

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

# People are named by an id or by the address they sign in with. The lock keeps the role until what was said is written.
_NAMED = """
    SELECT id, role FROM customers WHERE id = $1 OR email = lower($1) ORDER BY id = $1 DESC LIMIT 1 FOR SHARE
"""

# Staff who asked for a reversal between others hold none of its accounts, and are no party of it.
_IS_PARTY = """
    SELECT EXISTS (
        SELECT FROM transfers t LEFT JOIN accounts a ON a.id IN (t.source_account_id, t.destination_account_id)
        WHERE t.id = $1 AND (a.owner_id = $2 OR (t.owner_id = $2 AND t.kind <> 'reversal'))
    )
"""

_FIRST_WORD = """
    SELECT decider, ruling, reason, request FROM review_decisions
    WHERE transfer_id = $1 AND attempt = $2 AND decider = $3
"""

# Whoever writes to Temporal can name any action. It is believed only where this is what that very action asked of this
# transfer, and nothing has come of it: else what arrived is kept as typed in Temporal. A batch is concluded once it is
# sent, and asked this only of a review that had begun.
_WRITE_DECISION = """
    INSERT INTO review_decisions (transfer_id, attempt, decider, ruling, reason, request, action_id)
    VALUES ($1, $2, $3, $4, $5, $6, (
        SELECT a.id FROM operator_actions a
        WHERE a.id = $7 AND a.actor_id = $3 AND a.action = 'decide_review' AND a.asked ->> 'ruling' = $4
            AND CASE
                WHEN a.subject = $1 THEN
                    NOT EXISTS (SELECT FROM action_outcomes o WHERE o.action_id = a.id)
                    AND NOT EXISTS (SELECT FROM review_decisions d WHERE d.action_id = a.id)
                ELSE
                    a.before -> 'transfers' @> to_jsonb($1::text)
                    AND NOT EXISTS (SELECT FROM review_decisions d WHERE d.action_id = a.id AND d.transfer_id = $1)
                    AND EXISTS (
                        SELECT FROM reviews r
                        WHERE r.transfer_id = $1 AND r.attempt = $2 AND r.began_at <= a.recorded_at
                    )
            END
    ))
    ON CONFLICT DO NOTHING
"""

_WRITE_INSTRUCTION = """
    WITH known AS (SELECT id, state FROM transfers WHERE id = $1),
    written AS (
        INSERT INTO instructions (transfer_id, attempt, action, actor, reason, state, request, action_id)
        SELECT id, $2, $3, $4, $5, state, $6, (
            SELECT a.id FROM operator_actions a
            WHERE a.id = $7 AND a.actor_id = $4 AND a.subject = $1 AND a.action = ANY ($8::text[])
                AND NOT EXISTS (SELECT FROM action_outcomes o WHERE o.action_id = a.id)
                AND NOT EXISTS (SELECT FROM instructions i WHERE i.action_id = a.id)
        )
        FROM known
        ON CONFLICT DO NOTHING
    )
    SELECT EXISTS (SELECT FROM known)
"""

# The actions that a workflow's update may be the doing of; the first is its own.
_ACTIONS_OF = {"retry_now": (Action.RETRY_STEP,), "give_back": (Action.GIVE_BACK, Action.CANCEL_TRANSFER)}

_REMIND = "INSERT INTO review_reminders (transfer_id, attempt) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING 1"


async def _begun(connection: "Connection", step: Step, terms: ReviewTerms) -> tuple[ReviewTerms, int]:
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


async def _decisions_of(connection: "Connection", step: Step) -> list[Decision]:
    """What was decided about this attempt, in the order of time."""
    rows = await connection.fetch(_DECISIONS, step.transfer_id, step.attempt)
    return [Decision(row["decider"], Ruling(row["ruling"]), row["reason"]) for row in rows]


class Reviews:
    """What people say, kept for good. All raise `Unavailable` where PostgreSQL gave no answer: in doubt, ask again."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, step: Step, terms: ReviewTerms) -> Review:
        """Let the transfer wait for a person's decision.

        A repeat finds the review as it began, however long ago: its terms, and the decisions made since.
        """
        async with self._database.transaction() as connection:
            transfer = await put_in_review(connection, step)
            kept, elapsed_seconds = await _begun(connection, step, terms)
            return Review(transfer.standing, kept, await _decisions_of(connection, step), elapsed_seconds)

    async def write_decision(self, step: Step, decision: Decision, request: str) -> Decision:
        """Keep a reviewer's word, under their id: as it counts.

        `decision.decider` names one of the staff by id or address, so that one person is one decider by any way. The
        first word of each counts; the same `request` again gets the same answer. Refuses with `NotStaff`,
        `ConflictOfInterest` for whoever holds an account of the transfer, and `DecidedAlready`.
        """
        async with self._database.transaction() as connection:
            decider, role = await self._named(connection, decision.decider)
            place = (step.transfer_id, step.attempt, decider)
            if await connection.fetchrow(_FIRST_WORD, *place) is None:
                _check_staff(decision.decider, role)
                if await connection.fetchval(_IS_PARTY, step.transfer_id, decider):
                    raise ConflictOfInterest(Action.DECIDE_REVIEW)
                said = (decision.ruling, decision.reason, request, decision.action_id)
                await connection.execute(_WRITE_DECISION, *place, *said)
            first = only(await connection.fetchrow(_FIRST_WORD, *place))
            if first["request"] != request:
                raise DecidedAlready(decider)
            return Decision(first["decider"], Ruling(first["ruling"]), first["reason"])

    async def write_instruction(self, step: Step, action: str, instruction: Instruction, request: str) -> None:
        """Keep what one of the staff, named by id or address, asked of the transfer, and the state it was in.

        Once for each `request`. Refuses with `NotStaff`, and with `ConflictOfInterest` for whoever is a party; raises
        `UnknownTransfer` where the transfer has no row yet.
        """
        async with self._database.transaction() as connection:
            actor, role = await self._named(connection, instruction.actor)
            _check_staff(instruction.actor, role)
            if await connection.fetchval(_IS_PARTY, step.transfer_id, actor):
                raise ConflictOfInterest(_ACTIONS_OF[action][0])
            said = (action, actor, instruction.reason, request, instruction.action_id, _ACTIONS_OF[action])
            is_known = await connection.fetchval(_WRITE_INSTRUCTION, step.transfer_id, step.attempt, *said)
            if not is_known:
                raise UnknownTransfer(step.transfer_id)

    @staticmethod
    async def _named(connection: "Connection", name: str) -> tuple[CustomerId, Role]:
        row = await connection.fetchrow(_NAMED, name.strip())
        if row is None:
            raise NotStaff(name)
        return CustomerId(row["id"]), Role(row["role"])

    @asynccontextmanager
    async def reminding(self, step: Step) -> AsyncIterator[bool]:
        """Whether the reviewers of this attempt are to be reminded now, which is once.

        That they were is kept when the block ends: a reminder that fails comes again, one that was made does not.
        """
        async with self._database.transaction() as connection:
            yield await connection.fetchval(_REMIND, step.transfer_id, step.attempt) is not None


def _check_staff(name: str, role: Role) -> None:
    if role not in STAFF:
        raise NotStaff(name)
