"""The steps of disputes: each locks the dispute's row, is safe to repeat, and commits together with its record.

A step locks the dispute before it reads the transfer. Nothing here moves money: the reversal that a decision leads to
is a transfer like any other, and the book writes it. The messages to the parties commit with their step.
"""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import asyncpg
from sqlalchemy import (
    BigInteger,
    Interval,
    bindparam,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.sql.dml import ReturningUpdate

from customers.postgres import customers
from database.answers import Keep, keeps_nothing
from database.connections import Database
from database.metadata import CLOCK
from database.paging import ALL_TIME, Page, Place, Span, fetch_page, newest_of
from database.statements import execute, fetch, fetch_first, fetch_only, fetch_value
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
    ending_of,
    reversal_for,
)
from disputes.notices import of_end, of_opening, of_statement
from disputes.postgres.dispute_reads import (
    COUNT_STATEMENTS,
    FIND_DISPUTE,
    FIND_TRANSFER,
    READ_DISPUTES,
    THIS_DISPUTE,
    DisputeFile,
    dispute_of,
    keep_file,
    lock_dispute,
    of_decision,
    progress_of,
    read_file,
    read_transfer,
    transfer_of_dispute,
)
from disputes.postgres.endings import end_dispute, limit_hold, write_messages
from disputes.postgres.tables import NOT_CLOSED, dispute_statements, disputes
from ledger.ids import CustomerId, DisputeId, TransferId, new_dispute_id
from ledger.postgres.reversals import taken_of
from ledger.postgres.rows import TRANSFER, transfer_of
from ledger.postgres.tables import accounts, transfers
from ledger.transfers import TransferOrder
from ledger.workflow_ids import dispute_named_in
from staff.permissions import Action, Actor, Channel, Role, check_allowed
from staff.postgres.actions import record_action
from staff.postgres.tables import staff_actions

if TYPE_CHECKING:
    pass


# Only the payer, who asked for it: what staff or a payee moved is not theirs to dispute.
_DISPUTABLE = (
    select(*TRANSFER, accounts.c.owner_id.label("payee_id"), CLOCK.label("now"))
    .join_from(transfers, accounts, accounts.c.id == transfers.c.destination_account_id, isouter=True)
    .where(transfers.c.id == bindparam("transfer_id"), transfers.c.owner_id == bindparam("payer_id"))
)

# Null where the decision was to reverse all that was left.
_REQUESTED_AMOUNT = select(of_decision(staff_actions.c.asked["amount"].astext.cast(BigInteger))).where(THIS_DISPUTE)

_COUNT_OF_AUTHOR = COUNT_STATEMENTS.where(dispute_statements.c.author_id == bindparam("author_id"))

_ROLE = select(customers.c.role).where(customers.c.id == bindparam("customer_id"))

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
                dispute = dispute_of(await fetch_only(connection, new.returning(disputes)))
            except asyncpg.UniqueViolationError as error:
                raise DisputeOpen(transfer_id) from error
            await write_messages(connection, dispute, transfer, of_opening(dispute, transfer))
            await keep(connection, dispute)
            return dispute

    async def find(self, dispute_id: DisputeId) -> DisputeFile | None:
        """A dispute and its statements, oldest first. The caller decides who may read them."""
        async with self._database.connection() as connection:
            return await read_file(connection, dispute_id)

    async def all_of(
        self,
        party_id: CustomerId | None,
        state: DisputeState | None,
        before: Place | None,
        limit: int,
        *,
        within: Span = ALL_TIME,
    ) -> Page[Dispute]:
        """The disputes of a party, or of everybody, newest first."""
        listed = READ_DISPUTES if state is None else READ_DISPUTES.where(disputes.c.state == state)
        branches = [listed]
        if party_id is not None:  # nobody is payer and payee of one dispute
            branches = [listed.where(party == party_id) for party in (disputes.c.payer_id, disputes.c.payee_id)]
        wanted = newest_of(branches, disputes.c.created_at, disputes.c.id, behind=before is not None, within=within)
        async with self._database.connection() as connection:
            return await fetch_page(connection, wanted, limit, dispute_of, before)

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
            await write_messages(connection, dispute, transfer, notices)
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
            decided = dispute_of(await fetch_only(connection, _decided(dispute_id, decision, left)))
            await limit_hold(connection, decided, transfer)
            if decided.state.is_final:
                await write_messages(connection, decided, transfer, of_end(decided, transfer))
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
            row = await fetch_first(connection, FIND_DISPUTE, dispute_id=dispute_id)
            if row is None:
                raise NoSuchDispute(dispute_id)
            return await progress_of(connection, dispute_of(row))

    async def expire(self, dispute_id: DisputeId) -> DisputeProgress:
        """End an open dispute that nobody decided. A dispute that was decided meanwhile does not change."""
        async with self._database.transaction() as connection:
            dispute = await lock_dispute(connection, dispute_id)
            if dispute.state is DisputeState.OPEN:
                transfer = await transfer_of_dispute(connection, dispute)
                dispute = await end_dispute(connection, dispute, transfer, DisputeState.EXPIRED, EXPIRED, None)
            return await progress_of(connection, dispute)

    async def close(self, dispute_id: DisputeId, *, impossible: bool) -> DisputeProgress:
        """End a dispute whose reversal has ended, or is `impossible` to begin. Any other dispute does not change."""
        async with self._database.transaction() as connection:
            dispute = await lock_dispute(connection, dispute_id)
            if dispute.state is DisputeState.REVERSING:
                transfer = await transfer_of_dispute(connection, dispute)
                order = reversal_for(dispute, transfer)
                assert order is not None, "a reversal was decided"
                row = await fetch_first(connection, FIND_TRANSFER, transfer_id=order.transfer_id)
                found = transfer_of(row) if row else None
                reversal = found if found and found.order.contents == order.contents else None
                if ending := ending_of(reversal, str(order.amount), impossible=impossible):
                    reversal_id = reversal.id if reversal else None
                    dispute = await end_dispute(connection, dispute, transfer, *ending, reversal_id)
            return await progress_of(connection, dispute)

    async def decided(self, reversal: TransferOrder) -> bool:
        """Whether the decision of a dispute led to this very reversal."""
        dispute_id = dispute_named_in(reversal.idempotency_key)
        if dispute_id is None:
            return False
        async with self._database.connection() as connection:
            row = await fetch_first(connection, FIND_DISPUTE, dispute_id=dispute_id)
            if row is None or row["transfer_id"] != reversal.reverses_transfer_id:
                return False
            order = reversal_for(dispute_of(row), await read_transfer(connection, row["transfer_id"]))
        return order is not None and order.contents == reversal.contents

    async def not_closed(self, unchanged_for_seconds: int) -> list[DisputeId]:
        """A sample of the disputes that have not ended and have not changed for so long."""
        async with self._database.connection() as connection:
            rows = await fetch(connection, _NOT_CLOSED, unchanged_for=timedelta(seconds=unchanged_for_seconds))
        return [row["id"] for row in rows]


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


def _is_made(dispute: Dispute, decision: DisputeDecision, requested_minor: int | None) -> bool:
    """Whether the dispute was decided by this very decision: the amount as it was requested, or as it was fixed."""
    made = (dispute.decided_by, dispute.ruling, dispute.decided_reason)
    same = made == (decision.decider, decision.ruling, decision.reason)
    return same and decision.amount_minor in (requested_minor, dispute.amount_minor)
