"""Accepts a movement of money once per key, even if requests are repeated, race or get lost.

Where a request may break, and what is true then:

- Before Temporal answered: the transfer is not accepted, or in doubt. The client repeats the request with its key.
- After Temporal accepted, before the row is written: the workflow writes it. A repeat finds the workflow, compares the
  fingerprint in its memo, and joins it. A repeat of "all that is left" takes the amount in the memo for its own.
- No worker answers: this process writes the row before it answers 202, so an acknowledged transfer can be read.
- Temporal deleted the workflow: the row, which is read first and never expires, answers the request.
- Two requests use one key at once, one for a new transfer and one for a `transaction_id` that is taken: the first to
  write the row in `keys` has the key. The other one gets a 422 and moves no money, even if Temporal has accepted it.
- Two requests race for one `transaction_id` with different amounts: Temporal accepts both and the ledger opens one. The
  other one gets a 422. Its key stays free although a closed workflow has its ID: the next request with that key
  reuses the ID.
- A workflow has ended without opening its transfer or its attempt: its `transaction_id` was taken and is free again, or
  the books were restored to a time before it. The next request reuses its ID.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from api.http.problems import Problem
from api.limits.in_flight import TransfersInFlight
from api.temporal import StartedOrder, TemporalGateway
from api.transfers.completion import Completions
from database.answers import Keep, keeps_nothing
from database.connections import RowHeld
from ledger.fingerprints import TransferAltered
from ledger.ids import AccountId, CustomerId, TransferId, transfer_id_for
from ledger.postgres.book import Book
from ledger.postgres.transfer_reads import Intake, TransferReads
from ledger.refusals import IllegalTransition, OrderMismatch
from ledger.rules import kind_of
from ledger.transfers import MAX_ATTEMPTS, UNSIGNED, Ending, Kind, Standing, State, Step, Transfer, TransferOrder
from ledger.workflow_ids import transfer_workflow_id

CANCEL_TRIES = 3

# How long a request waits for the ledger to decide whether another request, whose workflow runs, gets their key.
UNDECIDED_SECONDS = 3.0
UNDECIDED_PAUSE = 0.05


@dataclass(frozen=True, slots=True)
class TransferRequest:
    """A validated request to move money."""

    source_account_id: AccountId
    destination_account_id: AccountId
    amount_minor: int
    currency: str
    note: str | None = None
    transaction_id: str | None = None
    reverses_transfer_id: TransferId | None = None
    all_that_is_left: bool = False  # of a reversal: the request names no amount
    metadata: dict[str, str] | None = None
    kind: Kind | None = None  # None: what its accounts say


@dataclass(frozen=True, slots=True)
class Accepted:
    """The transfer of a request, in its present state; `replayed` if an earlier request had started it."""

    transfer: Transfer
    replayed: bool


def order_for(owner_id: CustomerId, key: str, requested: TransferRequest) -> TransferOrder:
    """The order for this customer's request, not signed yet: equal keys and requests give equal orders."""
    reverses = requested.reverses_transfer_id
    return TransferOrder(
        transfer_id=transfer_id_for(owner_id, key),
        owner_id=owner_id,
        idempotency_key=key,
        fingerprint=UNSIGNED,
        kind=Kind.REVERSAL
        if reverses
        else requested.kind or kind_of(requested.source_account_id, requested.destination_account_id),
        source_account_id=requested.source_account_id,
        destination_account_id=requested.destination_account_id,
        amount_minor=requested.amount_minor,
        currency=requested.currency,
        workflow_id=transfer_workflow_id(owner_id, key),
        note=requested.note,
        transaction_id=requested.transaction_id,
        reverses_transfer_id=reverses,
        metadata=requested.metadata,
        all_that_is_left=requested.all_that_is_left,
    )


def next_attempt(transfer: Transfer) -> TransferOrder:
    """The order of a transfer's next attempt: the same as the first one, under a workflow ID of its own."""
    attempt = transfer.attempt + 1
    workflow_id = transfer_workflow_id(transfer.owner_id, transfer.order.idempotency_key, attempt)
    return replace(transfer.order, attempt=attempt, workflow_id=workflow_id)


async def unnamed(_attempt: int) -> None:
    """For a retry without a key: nobody repeats it."""


class Acceptance:
    """Turns requests into transfers."""

    def __init__(
        self,
        temporal: TemporalGateway,
        transfer_reads: TransferReads,
        book: Book,
        completions: Completions,
        *,
        sandbox_rails: bool = False,
        most_in_flight: int | None = None,
    ) -> None:
        """`sandbox_rails`: customers may make deposits and withdrawals, so those that ended may be tried again.

        `most_in_flight` transfers of one customer may be under way; None: any number.
        """
        self._in_flight = TransfersInFlight(transfer_reads, most_in_flight)
        self._temporal = temporal
        self._transfer_reads = transfer_reads
        self._book = book
        self._completions = completions
        self._sandbox_rails = sandbox_rails

    async def accept(self, order: TransferOrder, wait_seconds: float, foreseen: Problem | None = None) -> Accepted:
        """Start the transfer, or find the one that this key already names, and wait for its end.

        `foreseen` is the caller's objection to a new transfer; it does not affect one that was already accepted.

        Raises a problem for another customer's account (404) and for a key or a transaction_id that already names
        something else (422), and `TemporalUnavailable` or `Unavailable` while Temporal or PostgreSQL gives no answer.
        None of these uses up the key.
        """
        order = self._book.fingerprints.signed(order)
        known = await self._known(order)
        # For these the caller has already checked that this customer may reverse the payment, or fund an account.
        is_own = known.account is not None and known.account.owner_id == order.owner_id
        if not is_own and order.kind not in (Kind.REVERSAL, Kind.FUNDING):
            raise Problem("account_not_found", f"You have no account {order.customer_account_id}.")
        first = _first_of(known, order)
        if first is not None:
            await self._take_key(order, first)
            if first.state.is_final:
                return Accepted(first, replayed=True)
        if first is None and foreseen is None:
            foreseen = await self._in_flight.objection(order.owner_id)
        if foreseen and first is None and not await self._is_started(order):
            raise foreseen
        async with self._completions.watch(order.transfer_id) as watch:
            replayed = first is not None
            if first is None:
                order, replayed = await self._start(order)

            def check(handed_over: Transfer) -> Transfer | None:
                return _first_of(replace(known, by_key=handed_over), order)

            async def read() -> Transfer | None:
                return _first_of(await self._known(order), order)

            transfer = await self._completions.final_within(wait_seconds, watch, check, read)
        if transfer is None:
            transfer = await self._write_down(order)
        await self._take_key(order, transfer)
        return Accepted(transfer, replayed or transfer.id != order.transfer_id)

    async def retry(
        self, transfer: Transfer, wait_seconds: float, name_attempt: Callable[[int], Awaitable[None]] = unnamed
    ) -> Transfer:
        """Begin the next attempt of a failed or compensated transfer, under the same id and key, and wait for its end.

        Any number of equal requests begin one attempt: its workflow ID follows from the attempt. Raises a problem where
        the transfer's state, the number of its attempts, the rails or another transfer with its `transaction_id` do not
        allow it. `name_attempt` is called with the attempt once it is allowed, before it begins.
        """
        if transfer.state not in (State.FAILED, State.COMPENSATED):
            raise Problem(
                "not_retryable", f"The transfer is {transfer.state}; only failed and compensated ones can be retried."
            )
        if transfer.attempt >= MAX_ATTEMPTS:
            raise Problem("attempts_used_up", f"All {MAX_ATTEMPTS} attempts were made. Send a new transfer.")
        if transfer.kind in (Kind.DEPOSIT, Kind.WITHDRAWAL) and not self._sandbox_rails:
            raise Problem("sandbox_rails_off")
        order = self._signed_attempt(transfer)
        await self._check_transaction_id(order)
        await name_attempt(order.attempt)
        async with self._completions.watch(order.transfer_id) as watch:
            await self._start_attempt(order)

            def check(found: Transfer) -> Transfer | None:
                return found if found.attempt >= order.attempt else None

            async def read() -> Transfer | None:
                found = await self._transfer_reads.visible(order.owner_id, order.transfer_id)
                begun = check(found) if found else None
                if begun is None:
                    await self._check_transaction_id(order)
                return begun

            begun = await self._completions.final_within(wait_seconds, watch, check, read)
        if begun is None:
            # No worker has begun it yet: begin it here, so that the acknowledged attempt can be read.
            opened = await self._book.open_transfer(order)
            if (taken_by := opened.standing.duplicate_of) is not None:
                raise _transaction_id_taken(taken_by)
            begun = await self._transfer_reads.visible(order.owner_id, order.transfer_id)
        assert begun is not None, "the transfer was just read"
        return begun

    async def cancel(self, transfer: Transfer, keep: Keep[Transfer] = keeps_nothing) -> Transfer:
        """Cancel a transfer whose money has not left its source. A repeat finds it cancelled.

        The ledger decides under its locks: it refuses a debit after the cancellation. Raises a problem (409) after the
        debit. The workflow is cancelled too, so that it does not wait for a reviewer; if that fails,
        it notices at its next step. `keep` keeps the answer in the ledger's transaction.
        """
        standing = await self._end_as_cancelled(transfer, keep)
        await self._temporal.cancel(transfer.workflow_id)
        cancelled = await self._transfer_reads.visible(transfer.owner_id, standing.transfer_id)
        assert cancelled is not None, "transfers are never deleted"
        return cancelled

    async def until_final(self, transfer: Transfer, wait_seconds: float) -> Transfer:
        """The transfer once it is final, or in its present state when the time is over."""
        async with self._completions.watch(transfer.id) as watch:

            async def read() -> Transfer | None:
                return await self._transfer_reads.visible(transfer.owner_id, transfer.id)

            found = await self._completions.final_within(wait_seconds, watch, lambda handed_over: handed_over, read)
        assert found is not None, "transfers are never deleted"
        return found

    async def _end_as_cancelled(self, transfer: Transfer, keep: Keep[Transfer]) -> Standing:
        """Retries, because a debit that waits for its account's lock holds the transfer's until its lock timeout."""
        for tries_left in reversed(range(CANCEL_TRIES)):
            try:
                return await self._book.end(Ending(Step(transfer.id, transfer.attempt)), State.CANCELLED, keep)
            except IllegalTransition as conflict:
                raise Problem("too_late_to_cancel", f"The transfer is {conflict.state}.") from conflict
            except RowHeld:
                if not tries_left:
                    raise
        raise AssertionError("the last try answers or raises")

    async def _known(self, order: TransferOrder) -> Intake:
        return await self._transfer_reads.intake(
            order.owner_id, order.idempotency_key, order.customer_account_id, order.transaction_id
        )

    async def _take_key(self, order: TransferOrder, first: Transfer) -> None:
        """Use up a key whose answer is the transfer of another key, so that the key names it from now on."""
        if first.id == order.transfer_id:
            return
        try:
            await self._book.write_key(order, first.id)
        except OrderMismatch as error:
            raise Problem("idempotency_key_reused") from error

    async def _check_transaction_id(self, order: TransferOrder) -> None:
        """Raises a problem if another transfer has taken the order's `transaction_id` since its attempt ended."""
        if order.transaction_id is None:
            return
        holder = (await self._known(order)).by_transaction_id
        if holder is not None and holder.id != order.transfer_id:
            raise _transaction_id_taken(holder.id)

    def _signed_attempt(self, transfer: Transfer) -> TransferOrder:
        """The order of the next attempt. Raises a problem if the transfer's row was changed behind the books.

        Raises `FingerprintKeyMissing`, which is in doubt: another process may have the key.
        """
        try:
            self._book.fingerprints.check_row(transfer)
        except TransferAltered as error:
            raise Problem("transfer_altered", str(error)) from error
        return self._book.fingerprints.signed_attempt(next_attempt(transfer))

    async def _is_started(self, order: TransferOrder) -> bool:
        """Whether Temporal has accepted an equal request. Its row may be missing while its workflow runs."""
        started = await self._temporal.started(order.workflow_id)
        if started is None or self._as_started(order, started) is None:
            return False
        return started.is_running or _first_of(await self._known(order), order) is not None

    def _as_started(self, order: TransferOrder, started: StartedOrder) -> TransferOrder | None:
        """The order that the workflow was started with, if its request was equal to this one's."""
        fingerprints = self._book.fingerprints
        if order.all_that_is_left and started.amount_minor is not None:
            order = fingerprints.signed(replace(order, amount_minor=started.amount_minor))
        return order if started.fingerprint and fingerprints.is_of(started.fingerprint, order) else None

    async def _start(self, order: TransferOrder) -> tuple[TransferOrder, bool]:
        """Start the transfer, or find it started by an equal request: the order that was started, and which of both.

        A workflow of another request may have the ID. That request has the key only if the ledger has opened its
        transfer, so this one waits for the ledger's decision. A closed workflow that has not opened its transfer never
        will. If two requests reuse the ID of a closed workflow, the ledger decides as well.
        """
        deadline = asyncio.get_running_loop().time() + UNDECIDED_SECONDS
        while not await self._temporal.start(order):
            other = await self._temporal.started(order.workflow_id)  # None: Temporal has just deleted it
            if other is not None:
                if other.is_running and (equal := self._as_started(order, other)) is not None:
                    return equal, True
                if _first_of(await self._known(order), order) is not None:
                    return order, True
                if not other.is_running and await self._temporal.start(order, after_another=True):
                    return order, False
            if asyncio.get_running_loop().time() > deadline:
                raise Problem("idempotency_key_reused")
            await asyncio.sleep(UNDECIDED_PAUSE)
        return order, False

    async def _start_attempt(self, order: TransferOrder) -> None:
        """Start the attempt, or find it started. One whose workflow ended before the ledger began it starts again."""
        if await self._temporal.start(order):
            return
        other = await self._temporal.started(order.workflow_id)
        if other is not None and other.is_running:
            return
        found = await self._transfer_reads.visible(order.owner_id, order.transfer_id)
        if found is None or found.attempt < order.attempt:
            await self._temporal.start(order, after_another=True)

    async def _write_down(self, order: TransferOrder) -> Transfer:
        """No worker has opened the transfer yet: write its row here, so that it can be read once it is acknowledged."""
        try:
            await self._book.open_transfer(order)
        except OrderMismatch as error:
            raise Problem("idempotency_key_reused") from error
        transfer = _first_of(await self._known(order), order)
        assert transfer is not None, "the row was just written"
        return transfer


def _first_of(known: Intake, order: TransferOrder) -> Transfer | None:
    """The transfer that this request already names. Raises a problem if its key or transaction_id names another one."""
    if first := known.by_key:
        if not order.repeats_request(first):
            raise Problem("idempotency_key_reused")
        return first
    if known.has_answer:  # whatever its transaction_id names
        raise Problem("idempotency_key_reused")
    if first := known.by_transaction_id:
        if not order.repeats(first):
            raise Problem("transaction_id_reused")
        return first
    return None


def _transaction_id_taken(by: TransferId) -> Problem:
    return Problem("transaction_id_reused", f"Transfer {by} has this transaction_id now: it moves the money instead.")
