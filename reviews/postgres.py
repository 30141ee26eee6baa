"""Reviews and their decisions: when each began and on what terms, who decided what, who was reminded.

Everything here only grows. A review is of one attempt of a transfer; whatever is run again finds it as it was. All
that ends a review (decisions, its expiry, a cancellation, the debit) is decided under the transfer's row lock, so that
the first of them to commit is final.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import Column, ForeignKey, Integer, SmallInteger, Table, Text, exists, text

from database.answers import Keep, keeps_nothing
from database.connections import Database
from database.metadata import METADATA, Timestamp, required
from database.paging import Page, fetch_page
from ledger.ids import CustomerId, TransferId
from ledger.postgres.book import end_transfer, put_in_review
from ledger.postgres.locks import lock_free_transfers, lock_transfer
from ledger.postgres.rows import TRANSFER_COLUMNS, transfer_of
from ledger.postgres.tables import transfers
from ledger.refusals import ActionRefused, ReviewExpired, UnknownTransfer
from ledger.transfers import Ending, State, Step, Transfer
from reviews.review import (
    BatchOfDecisions,
    DecidedElsewhere,
    Decision,
    DecisionNotTaken,
    Review,
    ReviewDecided,
    ReviewNotBegun,
    ReviewTerms,
    Ruling,
    made_before,
    outcome,
)
from staff.permissions import Action, Actor, Channel, RoleTooYoung
from staff.postgres.actions import Subject, record_actions
from staff.postgres.people import check_no_party, find_too_young, staff_named
from staff.postgres.transfer_search import TransferSearch, matching

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
    Column("decider", Text, ForeignKey("customers.id"), primary_key=True),
    required("ruling", Text),
    required("reason", Text),
    required("decided_at", Timestamp, server_default=text("clock_timestamp()")),
    required("action_id", Text, ForeignKey("staff_actions.id"), unique=True),
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

_TRANSFER = f"SELECT {TRANSFER_COLUMNS} FROM transfers t WHERE t.id = $1"

_NAMED = f"SELECT {TRANSFER_COLUMNS} FROM transfers t WHERE t.id = ANY ($1::text[])"

_PARTIES = "SELECT owner_id FROM accounts WHERE id = ANY ($1::text[]) ORDER BY id = $1[1] DESC"

_TERMS = """
    SELECT transfer_id, deadline_seconds, remind_after_seconds, approvals
    FROM reviews JOIN unnest($1::text[], $2::int[]) AS wanted (transfer_id, attempt) USING (transfer_id, attempt)
"""

_DECISIONS = """
    SELECT transfer_id, decider, ruling, reason
    FROM review_decisions JOIN unnest($1::text[], $2::int[]) AS wanted (transfer_id, attempt)
        USING (transfer_id, attempt)
    ORDER BY decided_at, decider
"""

_WRITE_DECISIONS = """
    INSERT INTO review_decisions (transfer_id, attempt, action_id, decider, ruling, reason)
    SELECT decided.transfer_id, decided.attempt, decided.action_id, $4, $5, $6
    FROM unnest($1::text[], $2::int[], $3::text[]) AS decided (transfer_id, attempt, action_id)
"""

_REMIND = """
    INSERT INTO review_reminders (transfer_id, attempt)
    SELECT transfer_id, attempt FROM reviews WHERE transfer_id = $1 AND attempt = $2
    ON CONFLICT DO NOTHING RETURNING 1
"""


@dataclass(frozen=True, slots=True)
class RecordedDecision:
    """A decision as it is recorded, under its reviewer's id; `replayed`: an earlier request recorded it."""

    decision: Decision
    transfer: Transfer
    replayed: bool


class Reviews:
    """All raise `Unavailable` if PostgreSQL gave no answer: in doubt, repeat the call."""

    def __init__(self, database: Database, four_eyes_after: timedelta) -> None:
        """`four_eyes_after`: where two must approve, somebody whose role is younger does not count."""
        self._database = database
        self._four_eyes_after = four_eyes_after

    async def begin(self, step: Step, terms: ReviewTerms) -> Review:
        """Let the transfer wait for a decision.

        A repeat finds the review as it began, however long ago: its terms, and the decisions made since.
        """
        async with self._database.transaction() as connection:
            transfer = await put_in_review(connection, step)
            await connection.execute(
                _BEGIN,
                step.transfer_id,
                step.attempt,
                terms.deadline_seconds,
                terms.remind_after_seconds,
                terms.approvals,
            )
            review = await _read(connection, step, transfer)
            accounts = [transfer.source_account_id, transfer.destination_account_id]
            return replace(review, parties=[row["owner_id"] for row in await connection.fetch(_PARTIES, accounts)])

    async def read(self, step: Step) -> Review:
        """A review that has begun, as its rows record it now. Raises `UnknownTransfer` and `ReviewNotBegun`."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(_TRANSFER, step.transfer_id)
            if row is None:
                raise UnknownTransfer(step.transfer_id)
            return await _read(connection, step, transfer_of(row))

    async def expire(self, step: Step) -> Review:
        """Fail a transfer whose review is not decided. The workflow's timer says when.

        A decision that was committed before wins, and so does whatever else has moved the transfer: then nothing
        changes, and the answer tells it. A decision that comes later is too late. Raises `UnknownTransfer` and
        `ReviewNotBegun`.
        """
        async with self._database.transaction() as connection:
            transfer, _ = await lock_transfer(connection, step.transfer_id)
            review = await _read(connection, step, transfer)
            if transfer.attempt != step.attempt or not review.is_waiting:
                return review
            ended = await end_transfer(connection, Ending(step, ReviewExpired().failure), State.FAILED)
            return replace(review, standing=ended.standing)

    async def decide(
        self,
        step: Step,
        decision: Decision,
        channel: Channel = Channel.API,
        keep: Keep[RecordedDecision] = keeps_nothing,
    ) -> RecordedDecision:
        """Record a reviewer's decision about this attempt, with the action that it is, in one transaction.

        `decision.decider` names one of the staff by id or address, so that one person is one reviewer by any way. The
        first decision of each is final; the same ruling again finds it made. Refuses with `NotStaff`,
        `ConflictOfInterest` for a party of the transfer, `DecidedAlready`, and `DecidedTooLate` once the review is
        decided or the transfer has gone on. Raises `UnknownTransfer`. `keep` keeps the answer in the same transaction.
        """
        async with self._database.transaction() as connection:
            actor = await staff_named(connection, decision.decider)
            named = replace(decision, decider=actor.id)
            transfer, _ = await lock_transfer(connection, step.transfer_id)
            too_young = await find_too_young(connection, actor.id, self._four_eyes_after)
            (judged,) = await _judge(connection, actor, [(transfer, step.attempt)], named, too_young)
            if isinstance(judged, ActionRefused):
                raise judged
            if judged is None:
                await _write(connection, actor, [transfer], named, channel)
            recorded = RecordedDecision(judged or named, transfer, replayed=judged is not None)
            await keep(connection, recorded)
            return recorded

    async def find_named(self, transfer_ids: Sequence[TransferId]) -> list[Transfer]:
        """Those of the transfers that exist, in any state."""
        async with self._database.connection() as connection:
            return [transfer_of(row) for row in await connection.fetch(_NAMED, list(set(transfer_ids)))]

    async def find_undecided(self, wanted: TransferSearch, reviewer: CustomerId, limit: int) -> Page[Transfer]:
        """The newest matching transfers about whose current attempt this reviewer has not decided."""
        decided = exists().where(
            review_decisions.c.transfer_id == transfers.c.id,
            review_decisions.c.attempt == transfers.c.attempt,
            review_decisions.c.decider == reviewer,
        )
        async with self._database.connection() as connection:
            return await fetch_page(connection, matching(wanted).where(~decided), limit, transfer_of, wanted.before)

    async def decide_many(
        self, steps: Sequence[Step], decision: Decision, keep: Keep[BatchOfDecisions] = keeps_nothing
    ) -> BatchOfDecisions:
        """The same decision about these attempts, one of each transfer, in one transaction: all are kept, or none.

        Each takes or refuses it as if it came alone: `DecidedTooLate` for a transfer that has begun another attempt.
        The same ruling as before counts as taken. A transfer that something else writes to is not waited for, and
        refused. Raises `NotStaff`, and `ConflictOfInterest` if one of the transfers is the reviewer's own: then none
        is decided.
        """
        attempts = {step.transfer_id: step.attempt for step in steps}
        async with self._database.transaction() as connection:
            actor = await staff_named(connection, decision.decider)
            named = replace(decision, decider=actor.id)
            locked = await lock_free_transfers(connection, list(attempts))
            too_young = await find_too_young(connection, actor.id, self._four_eyes_after)
            judged = await _judge(connection, actor, [(each, attempts[each.id]) for each in locked], named, too_young)
            verdicts = {each.id: verdict for each, verdict in zip(locked, judged, strict=True)}
            await _write(connection, actor, [each for each in locked if verdicts[each.id] is None], named, Channel.API)
            verdicts |= {each: DecidedElsewhere(each) for each in attempts if each not in verdicts}
            refused = {each: why for each, why in verdicts.items() if isinstance(why, ActionRefused)}
            batch = BatchOfDecisions(
                taken=[each for each in locked if each.id not in refused],
                refused=[DecisionNotTaken(each, why.code, str(why)) for each, why in refused.items()],
            )
            await keep(connection, batch)
        return batch

    @asynccontextmanager
    async def reminding(self, step: Step) -> AsyncIterator[bool]:
        """Whether the reviewers of this attempt are to be reminded now, which is once. False without such a review.

        That they were is kept when the block ends: a reminder that fails comes again, one that was made does not.
        """
        async with self._database.transaction() as connection:
            yield await connection.fetchval(_REMIND, step.transfer_id, step.attempt) is not None


async def review_is_decided(connection: "Connection", step: Step) -> bool:
    """Whether this attempt has a review, and its decisions suffice."""
    terms = await _terms_of(connection, [(step.transfer_id, step.attempt)])
    if step.transfer_id not in terms:
        return False
    decisions = await _decisions_of(connection, [(step.transfer_id, step.attempt)])
    return outcome(decisions[step.transfer_id], terms[step.transfer_id]) is not None


async def find_rejection(connection: "Connection", step: Step) -> bool:
    """Whether somebody has rejected this attempt before its review began. The caller holds the transfer's lock.

    Raises `ReviewDecided` where its review has begun and is decided.
    """
    if await review_is_decided(connection, step):
        raise ReviewDecided(step.transfer_id, step.attempt)
    decisions = await _decisions_of(connection, [(step.transfer_id, step.attempt)])
    return any(decision.ruling is Ruling.REJECT for decision in decisions[step.transfer_id])


async def _read(connection: "Connection", step: Step, transfer: Transfer) -> Review:
    row = await connection.fetchrow(_BEGUN, step.transfer_id, step.attempt)
    if row is None:
        raise ReviewNotBegun(step.transfer_id, step.attempt)
    terms = ReviewTerms(row["deadline_seconds"], row["remind_after_seconds"], row["approvals"])
    decisions = await _decisions_of(connection, [(step.transfer_id, step.attempt)])
    return Review(transfer.standing, terms, decisions[step.transfer_id], row["elapsed_seconds"])


async def _terms_of(
    connection: "Connection", attempts: Sequence[tuple[TransferId, int]]
) -> Mapping[TransferId, ReviewTerms]:
    """The terms of those attempts whose review has begun."""
    return {
        row["transfer_id"]: ReviewTerms(row["deadline_seconds"], row["remind_after_seconds"], row["approvals"])
        for row in await connection.fetch(_TERMS, *_columns(attempts))
    }


async def _decisions_of(
    connection: "Connection", attempts: Sequence[tuple[TransferId, int]]
) -> Mapping[TransferId, list[Decision]]:
    """The decisions about each of these attempts, oldest first."""
    found: dict[TransferId, list[Decision]] = defaultdict(list)
    for row in await connection.fetch(_DECISIONS, *_columns(attempts)):
        found[row["transfer_id"]].append(Decision(row["decider"], Ruling(row["ruling"]), row["reason"]))
    return found


async def _judge(
    connection: "Connection",
    actor: Actor,
    attempts: Sequence[tuple[Transfer, int]],
    decision: Decision,
    too_young: RoleTooYoung | None,
) -> list[Decision | ActionRefused | None]:
    """For each transfer, whose row is locked: the same decision made before, None if it is new, or why it is refused.

    Read in statements of their own after the locks: they see every decision that was committed before.
    """
    keys = [(transfer.id, attempt) for transfer, attempt in attempts]
    decisions = await _decisions_of(connection, keys)
    terms = await _terms_of(connection, keys)
    await check_no_party(connection, actor.id, Action.DECIDE_REVIEW, [transfer for transfer, _ in attempts])
    judged: list[Decision | ActionRefused | None] = []
    for transfer, attempt in attempts:
        try:
            begun_on = terms.get(transfer.id)
            judged.append(made_before(transfer, attempt, begun_on, decisions[transfer.id], decision, too_young))
        except ActionRefused as refusal:
            judged.append(refusal)
    return judged


async def _write(
    connection: "Connection", actor: Actor, reviewed: Sequence[Transfer], decision: Decision, channel: Channel
) -> None:
    """The decision about each transfer, with its record."""
    subjects = [
        Subject(each.id, standing, standing | {"ruling": decision.ruling})
        for each in reviewed
        for standing in [{"state": each.state, "attempt": each.attempt}]
    ]
    asked = {"ruling": decision.ruling}
    action_ids = await record_actions(
        connection, actor, Action.DECIDE_REVIEW, subjects, decision.reason, asked, channel
    )
    keys = [(each.id, each.attempt) for each in reviewed]
    values = (action_ids, decision.decider, decision.ruling, decision.reason)
    await connection.execute(_WRITE_DECISIONS, *_columns(keys), *values)


def _columns(attempts: Sequence[tuple[TransferId, int]]) -> tuple[list[TransferId], list[int]]:
    return [transfer_id for transfer_id, _ in attempts], [attempt for _, attempt in attempts]
