"""Disputes in PostgreSQL: each step locks the dispute's row, is safe to repeat, and commits together with its record.

A step locks the dispute before it reads the transfer. Nothing here moves money: the reversal that a decision leads to
is a transfer like any other, and the book writes it. The messages to the parties commit with their step.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import asyncpg
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Interval,
    ScalarSelect,
    bindparam,
    extract,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert as insert_or_skip
from sqlalchemy.sql.dml import ReturningUpdate

from customers.postgres import customers
from database.answers import Keep, keeps_nothing
from database.connections import Database
from database.metadata import CLOCK, Timestamp
from database.paging import Page, Place, fetch_page, newest_of
from database.rows import columns_for, dataclass_of
from database.statements import Row, execute, fetch, fetch_first, fetch_only, fetch_value, locked, one_of
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
    amount_held_after,
    check_decision,
    check_disputable,
    check_open,
    ending_of,
    reversal_for,
)
from disputes.notices import Notice, of_end, of_opening, of_statement
from disputes.postgres.tables import NOT_CLOSED, dispute_statements, disputes
from ledger.ids import CustomerId, DisputeId, TransferId, new_dispute_id
from ledger.postgres.reversals import lock_hold, set_hold, taken_of
from ledger.postgres.rows import TRANSFER, transfer_of
from ledger.postgres.tables import accounts, holds, transfers
from ledger.transfers import Transfer, TransferOrder
from ledger.workflow_ids import dispute_named_in
from notifications.postgres import messages
from staff.permissions import Action, Actor, Channel, Role, check_allowed
from staff.postgres.actions import record_action
from staff.postgres.tables import staff_actions

if TYPE_CHECKING:
    from database.connections import Connection


@dataclass(frozen=True, slots=True)
class DisputeStatement:
    """What a party wrote, and when."""

    author_id: CustomerId
    text: str
    stated_at: datetime


# A dispute and its statements, oldest first.
DisputeFile = tuple[Dispute, list[DisputeStatement]]

_TRANSFER = select(*TRANSFER).where(transfers.c.id == bindparam("transfer_id"))

# Only the payer, who asked for it: what staff or a payee moved is not theirs to dispute.
_DISPUTABLE = (
    select(*TRANSFER, accounts.c.owner_id.label("payee_id"), CLOCK.label("now"))
    .join_from(transfers, accounts, accounts.c.id == transfers.c.destination_account_id, isouter=True)
    .where(transfers.c.id == bindparam("transfer_id"), transfers.c.owner_id == bindparam("payer_id"))
)

_THIS = disputes.c.id == bindparam("dispute_id")
_LOCK = locked(select(disputes).where(_THIS))


def _recorded(column: ColumnElement[Any]) -> ScalarSelect[Any]:
    """What the record of the decision has in this column."""
    decided = (staff_actions.c.subject == disputes.c.id, staff_actions.c.action == Action.DECIDE_DISPUTE)
    return select(column).where(*decided).correlate(disputes).scalar_subquery()


_HELD = select(holds.c.amount_minor).where(holds.c.transfer_id == disputes.c.transfer_id).correlate(disputes)

_KEEPING = (DisputeState.OPEN, DisputeState.REVERSING, DisputeState.REVERSAL_FAILED)
# What staff did last about the hold of a dispute. One for which they held nothing, or released it, keeps none.
_LAST_ABOUT_HOLD = (
    select(staff_actions.c.action)
    .where(
        staff_actions.c.subject == disputes.c.id,
        one_of(staff_actions.c.action, (Action.HOLD_AMOUNT, Action.RELEASE_AMOUNT)),
    )
    .order_by(staff_actions.c.recorded_at.desc(), staff_actions.c.id.desc())
    .limit(1)
)
# An open dispute may keep all of it.
_KEPT_BY_OTHERS = select(
    func.coalesce(func.sum(func.coalesce(disputes.c.amount_minor, bindparam("amount_minor", type_=BigInteger))), 0)
).where(
    disputes.c.transfer_id == bindparam("transfer_id"),
    disputes.c.id != bindparam("dispute_id"),
    one_of(disputes.c.state, _KEEPING),
    _LAST_ABOUT_HOLD.scalar_subquery() == Action.HOLD_AMOUNT,
)

_READ = select(
    disputes,
    _recorded(staff_actions.c.channel).label("decided_channel"),
    func.coalesce(_HELD.scalar_subquery(), 0).label("held_minor"),
)
_FIND = _READ.where(_THIS)

# Null where the decision was to reverse all that was left.
_REQUESTED_AMOUNT = select(_recorded(staff_actions.c.asked["amount"].astext.cast(BigInteger))).where(_THIS)

_STATEMENTS = (
    select(*columns_for(DisputeStatement, dispute_statements))
    .where(dispute_statements.c.dispute_id == bindparam("dispute_id"))
    .order_by(dispute_statements.c.id)
)
_COUNT = select(func.count()).where(dispute_statements.c.dispute_id == bindparam("dispute_id"))
_COUNT_OF_AUTHOR = _COUNT.where(dispute_statements.c.author_id == bindparam("author_id"))

_ROLE = select(customers.c.role).where(customers.c.id == bindparam("customer_id"))

_SECONDS_LEFT = select(
    func.greatest(0, extract("epoch", bindparam("deadline", type_=Timestamp) - CLOCK)).cast(BigInteger)
)

# A sample: open disputes may be many and wait for weeks, and each sweep takes another sample.
_NOT_CLOSED = (
    select(disputes.c.id)
    .where(NOT_CLOSED, disputes.c.updated_at <= func.now() - bindparam("unchanged_for", type_=Interval))
    .order_by(func.random())
    .limit(200)
)

REJECTED = "The dispute was rejected; the transfer stays as it is."
EXPIRED = "Nobody decided in time; the transfer stays as it is."


class Disputes:
    """All raise `Unavailable` where PostgreSQL gave no answer, and an `ActionRefused` where a rule forbids the step.

    A step that is refused changes nothing.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def open(
        self,
        payer_id: CustomerId,
        transfer_id: TransferId,
        reason: str,
        terms: DisputeTerms,
        keep: Keep[Dispute] = keeps_nothing,
    ) -> Dispute | None:
        """Open a dispute about a transfer that this customer asked for; None: the customer has no such transfer.

        Here and below, `keep` keeps the answer in the transaction, for repeats under a key.
        """
        async with self._database.transaction() as connection:
            row = await fetch_first(connection, _DISPUTABLE, transfer_id=transfer_id, payer_id=payer_id)
            if row is None:
                return None
            transfer = transfer_of(row)
            left = transfer.amount_minor - await taken_of(connection, transfer_id)
            check_disputable(transfer, left, row["now"], terms)
            new = insert(disputes).values(
                id=new_dispute_id(),
                transfer_id=transfer_id,
                payer_id=payer_id,
                payee_id=row["payee_id"],
                reason=reason,
                deadline=CLOCK + timedelta(seconds=terms.deadline_seconds),
            )
            try:
                dispute = _dispute_of(await fetch_only(connection, new.returning(disputes)))
            except asyncpg.UniqueViolationError as error:
                raise DisputeOpen(transfer_id) from error
            await _write_messages(connection, dispute, transfer, of_opening(dispute, transfer))
            await keep(connection, dispute)
            return dispute

    async def find(self, dispute_id: DisputeId) -> DisputeFile | None:
        """A dispute and its statements, oldest first. The caller decides who may read them."""
        async with self._database.connection() as connection:
            return await _file(connection, dispute_id)

    async def all_of(
        self, party_id: CustomerId | None, state: DisputeState | None, before: Place | None, limit: int
    ) -> Page[Dispute]:
        """The disputes of a party, or of everybody, newest first."""
        listed = _READ if state is None else _READ.where(disputes.c.state == state)
        branches = [listed]
        if party_id is not None:  # nobody is payer and payee of one dispute
            branches = [listed.where(party == party_id) for party in (disputes.c.payer_id, disputes.c.payee_id)]
        wanted = newest_of(branches, disputes.c.created_at, disputes.c.id, behind=before is not None)
        async with self._database.connection() as connection:
            return await fetch_page(connection, wanted, limit, _dispute_of, before)

    async def add_statement(
        self,
        dispute_id: DisputeId,
        author_id: CustomerId,
        text: str,
        keep: Keep[DisputeFile] = keeps_nothing,
    ) -> None:
        """Add a statement to an open dispute, with a message to the other party. The caller has checked the author."""
        async with self._database.transaction() as connection:
            dispute = await lock_dispute(connection, dispute_id)
            check_open(dispute)
            earlier = await fetch_value(connection, _COUNT_OF_AUTHOR, dispute_id=dispute_id, author_id=author_id)
            if earlier >= MAX_STATEMENTS_EACH:
                raise TooManyStatements
            new = insert(dispute_statements).values(dispute_id=dispute_id, author_id=author_id, text=text)
            await execute(connection, new)
            await execute(connection, update(disputes).where(disputes.c.id == dispute_id).values(updated_at=CLOCK))
            transfer = await transfer_of_dispute(connection, dispute)
            notices = of_statement(dispute, transfer, author_id, earlier + 1)
            await _write_messages(connection, dispute, transfer, notices)
            await keep_file(connection, dispute_id, keep)

    async def decide(
        self,
        dispute_id: DisputeId,
        decision: DisputeDecision,
        channel: Channel = Channel.API,
        keep: Keep[DisputeFile] = keeps_nothing,
    ) -> Dispute:
        """Decide a dispute, as staff who are no party. The first decision is final; a repeat of it changes nothing.

        The same transaction records the decision, with the `channel` it came by, and fixes the amount to reverse.
        """
        async with self._database.transaction() as connection:
            dispute = await lock_dispute(connection, dispute_id)
            # The role is read here, because decisions also come from Temporal's Web UI, which knows no roles.
            role = await fetch_value(connection, _ROLE, customer_id=decision.decider)
            if role is None:
                raise DecisionRefused("decider is the customer id, cus_…, of somebody of the staff.")
            actor = Actor(decision.decider, Role(role))
            check_allowed(actor, Action.DECIDE_DISPUTE)
            if _is_made(dispute, decision, await fetch_value(connection, _REQUESTED_AMOUNT, dispute_id=dispute_id)):
                await keep_file(connection, dispute_id, keep)
                return dispute
            transfer = await transfer_of_dispute(connection, dispute)
            left = transfer.amount_minor - await taken_of(connection, transfer.id)
            check_decision(dispute, decision, left)
            decided = _dispute_of(await fetch_only(connection, _decided(dispute_id, decision, left)))
            await _limit_hold(connection, decided, transfer)
            if decided.state.is_final:
                await _write_messages(connection, decided, transfer, of_end(decided, transfer))
            before = {"state": dispute.state}
            after = {"state": decided.state, "ruling": decided.ruling, "amount": decided.amount_minor}
            asked = {"ruling": decision.ruling, "amount": decision.amount_minor}
            await record_action(
                connection, actor, Action.DECIDE_DISPUTE, dispute_id, decision.reason, before, after, asked, channel
            )
            await keep_file(connection, dispute_id, keep)
        return decided

    async def course(self, dispute_id: DisputeId) -> DisputeProgress:
        """The state of a dispute, for its workflow."""
        async with self._database.connection() as connection:
            row = await fetch_first(connection, _FIND, dispute_id=dispute_id)
            if row is None:
                raise NoSuchDispute(dispute_id)
            return await _progress(connection, _dispute_of(row))

    async def expire(self, dispute_id: DisputeId) -> DisputeProgress:
        """End an open dispute that nobody decided. A dispute that was decided meanwhile does not change."""
        async with self._database.transaction() as connection:
            dispute = await lock_dispute(connection, dispute_id)
            if dispute.state is DisputeState.OPEN:
                transfer = await transfer_of_dispute(connection, dispute)
                dispute = await end_dispute(connection, dispute, transfer, DisputeState.EXPIRED, EXPIRED, None)
            return await _progress(connection, dispute)

    async def close(self, dispute_id: DisputeId, *, impossible: bool) -> DisputeProgress:
        """End a dispute whose reversal has ended, or is `impossible` to begin. Any other dispute does not change."""
        async with self._database.transaction() as connection:
            dispute = await lock_dispute(connection, dispute_id)
            if dispute.state is DisputeState.REVERSING:
                transfer = await transfer_of_dispute(connection, dispute)
                order = reversal_for(dispute, transfer)
                assert order is not None, "a reversal was decided"
                row = await fetch_first(connection, _TRANSFER, transfer_id=order.transfer_id)
                found = transfer_of(row) if row else None
                reversal = found if found and found.order.contents == order.contents else None
                if ending := ending_of(reversal, str(order.amount), impossible=impossible):
                    reversal_id = reversal.id if reversal else None
                    dispute = await end_dispute(connection, dispute, transfer, *ending, reversal_id)
            return await _progress(connection, dispute)

    async def decided(self, reversal: TransferOrder) -> bool:
        """Whether the decision of a dispute led to this very reversal."""
        dispute_id = dispute_named_in(reversal.idempotency_key)
        if dispute_id is None:
            return False
        async with self._database.connection() as connection:
            row = await fetch_first(connection, _FIND, dispute_id=dispute_id)
            if row is None or row["transfer_id"] != reversal.reverses_transfer_id:
                return False
            order = reversal_for(_dispute_of(row), await _transfer_of(connection, row["transfer_id"]))
        return order is not None and order.contents == reversal.contents

    async def not_closed(self, unchanged_for_seconds: int) -> list[DisputeId]:
        """A sample of the disputes that have not ended and have not changed for so long."""
        async with self._database.connection() as connection:
            rows = await fetch(connection, _NOT_CLOSED, unchanged_for=timedelta(seconds=unchanged_for_seconds))
        return [row["id"] for row in rows]


async def _file(connection: "Connection", dispute_id: DisputeId) -> DisputeFile | None:
    row = await fetch_first(connection, _FIND, dispute_id=dispute_id)
    if row is None:
        return None
    statements = await fetch(connection, _STATEMENTS, dispute_id=dispute_id)
    return _dispute_of(row), [dataclass_of(DisputeStatement, statement) for statement in statements]


async def keep_file(connection: "Connection", dispute_id: DisputeId, keep: Keep[DisputeFile]) -> None:
    """Keep the dispute and its statements, as this transaction leaves them, as an answer."""
    if keep is keeps_nothing:
        return
    file = await _file(connection, dispute_id)
    assert file is not None, "its row is locked"
    await keep(connection, file)


async def lock_dispute(connection: "Connection", dispute_id: DisputeId) -> Dispute:
    """The dispute under its lock. Raises `NoSuchDispute`."""
    row = await fetch_first(connection, _LOCK, dispute_id=dispute_id)
    if row is None:
        raise NoSuchDispute(dispute_id)
    return _dispute_of(row)


def _decided(dispute_id: DisputeId, decision: DisputeDecision, left_minor: int) -> ReturningUpdate[Any]:
    """A rejected dispute ends with the decision; a reversal fixes its amount now, so that it happens only once."""
    reverses = decision.ruling is DisputeRuling.REVERSE
    changed = update(disputes).where(disputes.c.id == dispute_id)
    changed = changed.values(
        state=DisputeState.REVERSING if reverses else DisputeState.REJECTED,
        ruling=decision.ruling,
        amount_minor=(decision.amount_minor or left_minor) if reverses else None,
        decided_by=decision.decider,
        decided_reason=decision.reason,
        decided_at=CLOCK,
        updated_at=CLOCK,
        outcome=None if reverses else REJECTED,
        closed_at=None if reverses else CLOCK,
    )
    return changed.returning(disputes)


async def end_dispute(
    connection: "Connection",
    dispute: Dispute,
    transfer: Transfer,
    state: DisputeState,
    outcome: str,
    reversal_id: TransferId | None,
) -> Dispute:
    """End a dispute, under its lock: its row, what is held for it, and a message to each party."""
    changed = update(disputes).where(disputes.c.id == dispute.id)
    changed = changed.values(
        state=state, outcome=outcome, reversal_transfer_id=reversal_id, updated_at=CLOCK, closed_at=CLOCK
    )
    ended = _dispute_of(await fetch_only(connection, changed.returning(disputes)))
    await _limit_hold(connection, ended, transfer)
    # A reversal that is retried with success ends its dispute once more, and says so once more.
    occasion = "reversed" if dispute.state is DisputeState.REVERSAL_FAILED else "ended"
    await _write_messages(connection, ended, transfer, of_end(ended, transfer, occasion))
    return ended


async def _write_messages(
    connection: "Connection", dispute: Dispute, transfer: Transfer, notices: list[Notice]
) -> None:
    """Write each party their message, at the account that the transfer left or reached. A repeat writes none."""
    written = [
        {
            "transfer_id": transfer.id,
            "attempt": transfer.attempt,
            "account_id": transfer.source_account_id
            if notice.to == dispute.payer_id
            else transfer.destination_account_id,
            "customer_id": notice.to,
            "occasion": notice.occasion,
            "body": notice.body,
        }
        for notice in notices
    ]
    if written:
        await execute(connection, insert_or_skip(messages).values(written).on_conflict_do_nothing())


async def _limit_hold(connection: "Connection", dispute: Dispute, transfer: Transfer) -> None:
    """Release what no dispute of the transfer may keep any more, in the transaction that changes this one."""
    hold = await lock_hold(connection, transfer)
    if hold is None:
        return
    # Read under the account's lock: of two disputes that end at once, the second one sees that the first has ended.
    others = await kept_by_others(connection, dispute, transfer)
    most = amount_held_after(dispute.state, dispute.amount_minor) + others
    await set_hold(connection, transfer.id, transfer.destination_account_id, hold.limited_to(most))


async def kept_by_others(connection: "Connection", dispute: Dispute, transfer: Transfer) -> int:
    """The most that other disputes of the transfer may keep held. Final only under the account's lock."""
    return int(
        await fetch_value(
            connection,
            _KEPT_BY_OTHERS,
            dispute_id=dispute.id,
            transfer_id=transfer.id,
            amount_minor=transfer.amount_minor,
        )
    )


async def transfer_of_dispute(connection: "Connection", dispute: Dispute) -> Transfer:
    """The transfer that is disputed: it is completed, and never changes again."""
    return await _transfer_of(connection, dispute.transfer_id)


async def _transfer_of(connection: "Connection", transfer_id: TransferId) -> Transfer:
    return transfer_of(await fetch_only(connection, _TRANSFER, transfer_id=transfer_id))


async def _progress(connection: "Connection", dispute: Dispute) -> DisputeProgress:
    transfer = await transfer_of_dispute(connection, dispute)
    return DisputeProgress(
        state=dispute.state,
        seconds_left=await fetch_value(connection, _SECONDS_LEFT, deadline=dispute.deadline),
        statements=await fetch_value(connection, _COUNT, dispute_id=dispute.id),
        parties=dispute.parties,
        reversal=reversal_for(dispute, transfer) if dispute.state is DisputeState.REVERSING else None,
        outcome=dispute.outcome,
        transfer_id=dispute.transfer_id,
        disputed=transfer.order,
    )


def _is_made(dispute: Dispute, decision: DisputeDecision, requested_minor: int | None) -> bool:
    """Whether the dispute was decided by this very decision: the amount as it was requested, or as it was fixed."""
    made = (dispute.decided_by, dispute.ruling, dispute.decided_reason)
    same = made == (decision.decider, decision.ruling, decision.reason)
    return same and decision.amount_minor in (requested_minor, dispute.amount_minor)


def _dispute_of(row: Row) -> Dispute:
    return dataclass_of(Dispute, row)
