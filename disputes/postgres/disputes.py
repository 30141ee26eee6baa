"""Disputes in PostgreSQL: each step under the dispute's row lock, safe to repeat, together with its record.

The row is locked before the transfer that it is about is read. Nothing here moves money: a reversal that was decided is
a transfer like any other, written by the book. What the parties are told of a step is written with it, and only then.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import asyncpg

from database.connections import Database
from disputes.dispute import (
    MAX_STATEMENTS_EACH,
    DecisionRefused,
    Dispute,
    DisputeDecision,
    DisputeOpen,
    DisputeProgress,
    DisputeRuling,
    DisputeState,
    DisputeTerms,
    NoSuchDispute,
    TooManyStatements,
    check_decision,
    check_disputable,
    check_open,
    dispute_named_in,
    ending_of,
    reversal_for,
)
from disputes.notices import Notice, of_end, of_opening, of_statement
from ledger.ids import CustomerId, DisputeId, TransferId, new_dispute_id
from ledger.postgres.reversals import taken_of
from ledger.postgres.rows import TRANSFER_COLUMNS, Row, only, transfer_of
from ledger.transfers import Transfer
from staff.permissions import Action, Actor, Channel, Role, check_allowed
from staff.postgres.operators import record_action

if TYPE_CHECKING:
    from database.connections import Connection

_COLUMNS = """
    d.id, d.transfer_id, d.payer_id, d.payee_id, d.reason, d.state, d.deadline, d.ruling, d.amount_minor, d.decided_by,
    d.decided_reason, d.decided_at, d.reversal_transfer_id, d.outcome, d.created_at, d.updated_at, d.closed_at
"""

_TRANSFER = f"SELECT {TRANSFER_COLUMNS} FROM transfers t WHERE t.id = $1"

# Only the payer, who asked for it: what staff or a payee moved is not theirs to dispute.
_DISPUTABLE = f"""
    SELECT {TRANSFER_COLUMNS}, a.owner_id AS payee_id, clock_timestamp() AS now
    FROM transfers t LEFT JOIN accounts a ON a.id = t.destination_account_id WHERE t.id = $1 AND t.owner_id = $2
"""

_INSERT = f"""
    INSERT INTO disputes AS d (id, transfer_id, payer_id, payee_id, reason, deadline)
    VALUES ($1, $2, $3, $4, $5, clock_timestamp() + make_interval(secs => $6)) RETURNING {_COLUMNS}
"""

_LOCK = f"SELECT {_COLUMNS} FROM disputes d WHERE d.id = $1 FOR NO KEY UPDATE"

_RECORDED = "FROM operator_actions a WHERE a.subject = d.id AND a.action = 'decide_dispute'"
_READ = f"{_COLUMNS}, (SELECT a.asked ->> 'channel' {_RECORDED}) AS decided_channel"
_FIND = f"SELECT {_READ} FROM disputes d WHERE d.id = $1"

# The amount that the decision asked for, and null where that was all that was left.
_ASKED = f"SELECT (SELECT (a.asked ->> 'amount')::bigint {_RECORDED}) FROM disputes d WHERE d.id = $1"

_LIST = f"""
    SELECT {_READ} FROM disputes d
    WHERE ($1::text IS NULL OR d.payer_id = $1 OR d.payee_id = $1) AND ($2::text IS NULL OR d.state = $2)
        AND ($3::timestamptz IS NULL OR (d.created_at, d.id) < ($3, $4))
    ORDER BY d.created_at DESC, d.id DESC LIMIT $5
"""

_STATE = "INSERT INTO dispute_statements (dispute_id, author_id, text) VALUES ($1, $2, $3)"
_TOUCH = "UPDATE disputes SET updated_at = clock_timestamp() WHERE id = $1"
_COUNT = "SELECT count(*) FROM dispute_statements WHERE dispute_id = $1 AND ($2::text IS NULL OR author_id = $2)"

_STATEMENTS = """
    SELECT s.author_id, s.text, s.stated_at FROM dispute_statements s WHERE s.dispute_id = $1 ORDER BY s.id
"""

_DECIDE = f"""
    UPDATE disputes d SET state = $2, ruling = $3, amount_minor = $4, decided_by = $5, decided_reason = $6,
        decided_at = clock_timestamp(), updated_at = clock_timestamp(), outcome = $7,
        closed_at = CASE WHEN $2 = 'rejected' THEN clock_timestamp() END
    WHERE id = $1 RETURNING {_COLUMNS}
"""

_CLOSE = f"""
    UPDATE disputes d SET state = $2, outcome = $3, reversal_transfer_id = $4, updated_at = clock_timestamp(),
        closed_at = clock_timestamp()
    WHERE id = $1 RETURNING {_COLUMNS}
"""

# Each party is told at the account that the transfer left or reached.
_TELL = """
    INSERT INTO messages (transfer_id, attempt, account_id, customer_id, occasion, body)
    SELECT t.id, t.attempt, CASE $2 WHEN d.payer_id THEN t.source_account_id ELSE t.destination_account_id END,
        $2, $3, $4
    FROM disputes d JOIN transfers t ON t.id = d.transfer_id WHERE d.id = $1
    ON CONFLICT DO NOTHING
"""

_ROLE = "SELECT role FROM customers WHERE id = $1"
_LEFT = "SELECT greatest(0, extract(epoch FROM $1::timestamptz - clock_timestamp()))::bigint"

# A sample: open disputes may be many and wait for weeks, and each look that follows takes another one.
_NOT_CLOSED = """
    SELECT id FROM disputes
    WHERE state IN ('open', 'reversing') AND updated_at <= clock_timestamp() - make_interval(secs => $1)
    ORDER BY random() LIMIT 200
"""

REJECTED = "The dispute was rejected; the transfer stays as it is."
EXPIRED = "Nobody decided in time; the transfer stays as it is."


@dataclass(frozen=True, slots=True)
class DisputeStatement:
    """What a party wrote, and when."""

    author_id: CustomerId
    text: str
    stated_at: datetime


class Disputes:
    """All raise `Unavailable` where PostgreSQL gave no answer, and an `ActionRefused` where something is not possible.

    After the latter nothing has changed.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def open(
        self, payer_id: CustomerId, transfer_id: TransferId, reason: str, terms: DisputeTerms
    ) -> Dispute | None:
        """Open a dispute about a transfer that this customer asked for; None: there is no such transfer."""
        async with self._database.transaction() as connection:
            row = await connection.fetchrow(_DISPUTABLE, transfer_id, payer_id)
            if row is None:
                return None
            transfer = transfer_of(row)
            left = transfer.amount_minor - await taken_of(connection, transfer_id)
            check_disputable(transfer, left, row["now"], terms)
            values = (new_dispute_id(), transfer_id, payer_id, row["payee_id"], reason, terms.deadline_seconds)
            try:
                dispute = _dispute_of(only(await connection.fetchrow(_INSERT, *values)))
            except asyncpg.UniqueViolationError as error:
                raise DisputeOpen(transfer_id) from error
            await self._tell(connection, dispute, of_opening(dispute, transfer))
            return dispute

    async def find(self, dispute_id: DisputeId) -> tuple[Dispute, list[DisputeStatement]] | None:
        """A dispute and what was said in it, oldest first. The caller decides who may read it."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(_FIND, dispute_id)
            if row is None:
                return None
            said = await connection.fetch(_STATEMENTS, dispute_id)
        return _dispute_of(row), [DisputeStatement(**dict(line)) for line in said]

    async def all_of(
        self, party_id: CustomerId | None, state: DisputeState | None, before: tuple[datetime, str] | None, limit: int
    ) -> list[Dispute]:
        """The disputes of a party, or of everybody, newest first."""
        moment, last_id = before or (None, None)
        async with self._database.connection() as connection:
            rows = await connection.fetch(_LIST, party_id, state, moment, last_id, limit)
        return [_dispute_of(row) for row in rows]

    async def add_statement(self, dispute_id: DisputeId, author_id: CustomerId, text: str) -> None:
        """Add a statement to an open dispute, with a message to the other party. The caller has checked the author."""
        async with self._database.transaction() as connection:
            dispute = await self._lock(connection, dispute_id)
            check_open(dispute)
            said = await connection.fetchval(_COUNT, dispute_id, author_id)
            if said >= MAX_STATEMENTS_EACH:
                raise TooManyStatements
            await connection.execute(_STATE, dispute_id, author_id, text)
            await connection.execute(_TOUCH, dispute_id)
            transfer = await self._transfer(connection, dispute.transfer_id)
            await self._tell(connection, dispute, of_statement(dispute, transfer, author_id, said + 1))

    async def decide(self, dispute_id: DisputeId, decision: DisputeDecision, channel: Channel = Channel.API) -> Dispute:
        """Rule, as staff who are no party. The first decision counts; the same one again finds it made.

        Recorded in the same transaction, with the `channel` it came by, and what is to be reversed is fixed in it.
        """
        async with self._database.transaction() as connection:
            dispute = await self._lock(connection, dispute_id)
            # The role is read here, because decisions also come by Temporal's Web UI, which knows no roles.
            role = await connection.fetchval(_ROLE, decision.decider)
            if role is None:
                raise DecisionRefused("decider is the customer id, cus_…, of somebody of the staff.")
            check_allowed(Actor(decision.decider, Role(role)), Action.DECIDE_DISPUTE)
            if _is_made(dispute, decision, await connection.fetchval(_ASKED, dispute_id)):
                return dispute
            transfer = await self._transfer(connection, dispute.transfer_id)
            left = transfer.amount_minor - await taken_of(connection, transfer.id)
            check_decision(dispute, decision, left)
            reverses = decision.ruling is DisputeRuling.REVERSE
            changed = _dispute_of(
                only(
                    await connection.fetchrow(
                        _DECIDE,
                        dispute_id,
                        DisputeState.REVERSING if reverses else DisputeState.REJECTED,
                        decision.ruling,
                        (decision.amount_minor or left) if reverses else None,
                        decision.decider,
                        decision.reason,
                        None if reverses else REJECTED,
                    )
                )
            )
            if changed.state.is_final:
                await self._tell(connection, changed, of_end(changed, transfer))
            after = {"state": changed.state, "ruling": changed.ruling, "amount": changed.amount_minor}
            actor, before = Actor(decision.decider, Role(role)), {"state": dispute.state}
            asked = {"channel": channel, "ruling": decision.ruling, "amount": decision.amount_minor}
            await record_action(
                connection, actor, Action.DECIDE_DISPUTE, dispute_id, decision.reason, before, after, asked
            )
        return changed

    async def course(self, dispute_id: DisputeId) -> DisputeProgress:
        """Where the dispute stands."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(_FIND, dispute_id)
            if row is None:
                raise NoSuchDispute(dispute_id)
            return await self._course(connection, _dispute_of(row))

    async def expire(self, dispute_id: DisputeId) -> DisputeProgress:
        """End an open dispute that nobody decided. One that was decided meanwhile is left as it is."""
        async with self._database.transaction() as connection:
            dispute = await self._lock(connection, dispute_id)
            if dispute.state is DisputeState.OPEN:
                transfer = await self._transfer(connection, dispute.transfer_id)
                dispute = await self._end(connection, transfer, dispute_id, DisputeState.EXPIRED, EXPIRED, None)
            return await self._course(connection, dispute)

    async def close(self, dispute_id: DisputeId, *, impossible: bool) -> DisputeProgress:
        """End a dispute whose reversal has ended, or is `impossible` to begin. Else it stays as it is."""
        async with self._database.transaction() as connection:
            dispute = await self._lock(connection, dispute_id)
            if dispute.state is DisputeState.REVERSING:
                transfer = await self._transfer(connection, dispute.transfer_id)
                order = reversal_for(dispute, transfer)
                assert order is not None, "a reversal was decided"
                row = await connection.fetchrow(_TRANSFER, order.transfer_id)
                reversal = transfer_of(row) if row and row["fingerprint"] == order.fingerprint else None
                if ending := ending_of(reversal, str(order.amount), impossible=impossible):
                    values = (*ending, reversal.id if reversal else None)
                    dispute = await self._end(connection, transfer, dispute_id, *values)
            return await self._course(connection, dispute)

    async def decided(self, reversal: Transfer) -> bool:
        """Whether a dispute was decided to be ended by this very reversal."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(_FIND, dispute_named_in(reversal.idempotency_key))
            if row is None or row["transfer_id"] != reversal.reverses_transfer_id:
                return False
            order = reversal_for(_dispute_of(row), await self._transfer(connection, row["transfer_id"]))
        return order is not None and (order.transfer_id, order.fingerprint) == (reversal.id, reversal.fingerprint)

    async def not_closed(self, unchanged_for_seconds: int) -> list[DisputeId]:
        """Some of the disputes that are not over and have not changed for so long."""
        async with self._database.connection() as connection:
            return [row["id"] for row in await connection.fetch(_NOT_CLOSED, unchanged_for_seconds)]

    async def _lock(self, connection: "Connection", dispute_id: DisputeId) -> Dispute:
        row = await connection.fetchrow(_LOCK, dispute_id)
        if row is None:
            raise NoSuchDispute(dispute_id)
        return _dispute_of(row)

    async def _end(
        self,
        connection: "Connection",
        transfer: Transfer,
        dispute_id: DisputeId,
        state: DisputeState,
        outcome: str,
        reversal_id: TransferId | None,
    ) -> Dispute:
        dispute = _dispute_of(only(await connection.fetchrow(_CLOSE, dispute_id, state, outcome, reversal_id)))
        await self._tell(connection, dispute, of_end(dispute, transfer))
        return dispute

    async def _tell(self, connection: "Connection", dispute: Dispute, notices: list[Notice]) -> None:
        rows = [(dispute.id, notice.to, notice.occasion, notice.body) for notice in notices]
        await connection.executemany(_TELL, rows)

    async def _transfer(self, connection: "Connection", transfer_id: TransferId) -> Transfer:
        return transfer_of(only(await connection.fetchrow(_TRANSFER, transfer_id)))

    async def _course(self, connection: "Connection", dispute: Dispute) -> DisputeProgress:
        transfer = await self._transfer(connection, dispute.transfer_id)
        return DisputeProgress(
            state=dispute.state,
            seconds_left=await connection.fetchval(_LEFT, dispute.deadline),
            statements=await connection.fetchval(_COUNT, dispute.id, None),
            parties=dispute.parties,
            reversal=reversal_for(dispute, transfer) if dispute.state is DisputeState.REVERSING else None,
            outcome=dispute.outcome,
            transfer_id=dispute.transfer_id,
        )


def _is_made(dispute: Dispute, decision: DisputeDecision, asked_minor: int | None) -> bool:
    """Whether this is the decision that was made, in the words that it was asked with or for the same amount."""
    made: Sequence[object] = (dispute.decided_by, dispute.ruling, dispute.decided_reason)
    same_words = made == (decision.decider, decision.ruling, decision.reason)
    return same_words and decision.amount_minor in (asked_minor, dispute.amount_minor)


def _dispute_of(row: Row) -> Dispute:
    told: dict[str, Any] = dict(row)
    enums: dict[str, type[StrEnum]] = {"state": DisputeState, "ruling": DisputeRuling, "decided_channel": Channel}
    return Dispute(**(told | {name: enums[name](told[name]) for name in enums if told.get(name)}))
