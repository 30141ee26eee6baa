"""Accepting a movement of money: once per key, whatever is repeated, raced or lost.

Where a request may break, and what holds then:

- before Temporal answered: nothing is accepted, or nobody knows. The client repeats the request with its key.
- after Temporal accepted, before the row is written: the workflow writes it. A repeat finds the workflow, compares the
  fingerprint in its memo, and joins it.
- no worker is there: this process writes the row itself before it answers 202, so what was acknowledged can be read.
- Temporal forgot the workflow: the row answers. It never expires, and is asked first.
"""

import hashlib
import json
from dataclasses import dataclass, replace

from api.http.problems import Problem
from api.temporal import TemporalGateway
from api.transfers.completion import Completions
from database.connections import Unavailable
from ledger.ids import AccountId, CustomerId, TransferId, transfer_id_for
from ledger.postgres.book import Book
from ledger.postgres.transfer_reads import Intake, TransferReads
from ledger.refusals import IllegalTransition, OrderMismatch
from ledger.rules import kind_of
from ledger.transfers import MAX_ATTEMPTS, Ending, Kind, Standing, State, Step, Transfer, TransferOrder

MAX_WORKFLOW_ID = 255
CANCEL_TRIES = 3


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
    all_that_is_left: bool = False  # of a reversal: its amount is not part of what was asked for


@dataclass(frozen=True, slots=True)
class Accepted:
    """The transfer that a request named, as it stands; `replayed` where an earlier request had named it."""

    transfer: Transfer
    replayed: bool


def order_for(owner_id: CustomerId, key: str, requested: TransferRequest) -> TransferOrder:
    """The order for this customer's request: equal keys and requests give equal orders, fingerprint included."""
    reverses = requested.reverses_transfer_id
    kind = Kind.REVERSAL if reverses else kind_of(requested.source_account_id, requested.destination_account_id)
    canonical: dict[str, object] = {
        "kind": kind,
        "source_account_id": requested.source_account_id,
        "destination_account_id": requested.destination_account_id,
        "amount": requested.amount_minor,
        "currency": requested.currency,
        "note": requested.note,
        "transaction_id": requested.transaction_id,
    }
    if reverses:  # left out of others, whose fingerprints are kept for ever
        canonical |= {
            "reverses_transfer_id": reverses,
            "amount": None if requested.all_that_is_left else requested.amount_minor,
        }
    text = json.dumps(canonical, sort_keys=True, separators=(",", ":"))
    return TransferOrder(
        transfer_id=transfer_id_for(owner_id, key),
        owner_id=owner_id,
        idempotency_key=key,
        fingerprint=hashlib.sha256(text.encode()).hexdigest(),
        kind=kind,
        source_account_id=requested.source_account_id,
        destination_account_id=requested.destination_account_id,
        amount_minor=requested.amount_minor,
        currency=requested.currency,
        workflow_id=workflow_id_for(owner_id, key),
        note=requested.note,
        transaction_id=requested.transaction_id,
        reverses_transfer_id=reverses,
    )


def workflow_id_for(owner_id: CustomerId, key: str) -> str:
    """`transfer/{customer}/{key}`, one for each key and at most 252 characters long.

    `#` is escaped in keys, because ` #2` behind an ID names the second attempt. Temporal keeps at most 255 characters
    of an ID in PostgreSQL, so a longer one ends in a digest of its key, behind a `%~` that no escaped key contains.
    """
    escaped = key.replace("%", "%25").replace("#", "%23")
    room = MAX_WORKFLOW_ID - len(f"transfer/{owner_id}/") - len(" #2")
    if len(escaped) > room:
        digest = hashlib.sha256(key.encode()).hexdigest()[:32]
        escaped = f"{escaped[: room - 34]}%~{digest}"
    return f"transfer/{owner_id}/{escaped}"


def next_attempt(transfer: Transfer) -> TransferOrder:
    """The order of a transfer's next attempt: all of the first one, under a workflow ID of its own."""
    attempt = transfer.attempt + 1
    first = workflow_id_for(transfer.owner_id, transfer.idempotency_key)
    return replace(transfer.order, attempt=attempt, workflow_id=f"{first} #{attempt}")


class Acceptance:
    """Turns requests into transfers."""

    def __init__(
        self, temporal: TemporalGateway, transfer_reads: TransferReads, book: Book, completions: Completions
    ) -> None:
        self._temporal = temporal
        self._transfer_reads = transfer_reads
        self._book = book
        self._settlements = completions

    async def accept(self, order: TransferOrder, wait_seconds: float, foreseen: Problem | None = None) -> Accepted:
        """Start the transfer, or find the one that this key already names, and wait for its end.

        `foreseen` is what the caller has against a new transfer; one that is accepted already is not touched by it.

        Raises a problem for another customer's account (404) and for a key or a transaction_id that already names
        something else (422), and `TemporalUnavailable` or `Unavailable` while Temporal or PostgreSQL gives no answer.
        None of these uses up the key.
        """
        known = await self._known(order)
        # Whether this customer may reverse what was paid to somebody else was asked before.
        if known.account is None and order.kind is not Kind.REVERSAL:
            raise Problem("account_not_found", f"You have no account {order.customer_account_id}.")
        first = _first_of(known, order)
        if first is not None and first.state.is_final:
            return await self._answered(order, first, replayed=True)
        if foreseen and first is None and not await self._is_started(order):
            raise foreseen
        async with self._settlements.watch(order.transfer_id) as watch:
            replayed = first is not None
            if not replayed:
                replayed = not await self._temporal.start(order)

            def check(handed_over: Transfer) -> Transfer | None:
                return _first_of(replace(known, by_key=handed_over), order)

            async def read() -> Transfer | None:
                return _first_of(await self._known(order), order)

            transfer = await self._settlements.final_within(wait_seconds, watch, check, read)
        if transfer is None:
            transfer = await self._write_down(order, replayed=replayed)
        return await self._answered(order, transfer, replayed=replayed)

    async def _answered(self, order: TransferOrder, transfer: Transfer, *, replayed: bool) -> Accepted:
        """A key that is answered with another key's transfer is used from now on, like any other."""
        if transfer.id == order.transfer_id:
            return Accepted(transfer, replayed)
        await self._book.remember_key(order, transfer.id)
        return Accepted(transfer, replayed=True)

    async def retry(self, transfer: Transfer, wait_seconds: float) -> Transfer:
        """Begin the next attempt of a failed or compensated transfer, under the same id and key, and wait for its end.

        Any number of equal requests begin one attempt: its workflow ID follows from the attempt. Raises a problem (409)
        where the transfer's state or the number of its attempts does not allow it.
        """
        if transfer.state not in (State.FAILED, State.COMPENSATED):
            raise Problem("not_retryable", f"The transfer is {transfer.state}; only failed and compensated ones are.")
        if transfer.attempt >= MAX_ATTEMPTS:
            raise Problem("attempts_used_up", f"All {MAX_ATTEMPTS} attempts were made. Send a new transfer.")
        order = next_attempt(transfer)
        async with self._settlements.watch(order.transfer_id) as watch:
            await self._temporal.start(order)

            def check(found: Transfer) -> Transfer | None:
                return found if found.attempt >= order.attempt else None

            async def read() -> Transfer | None:
                found = await self._transfer_reads.visible(order.owner_id, order.transfer_id)
                return check(found) if found else None

            begun = await self._settlements.final_within(wait_seconds, watch, check, read)
        if begun is None:
            # No worker has begun it yet: begin it here, so that what is acknowledged can be read.
            await self._book.open_transfer(order)
            begun = await self._transfer_reads.visible(order.owner_id, order.transfer_id)
        assert begun is not None, "the transfer was just read"
        return begun

    async def cancel(self, transfer: Transfer) -> Transfer:
        """Cancel a transfer whose money has not left its source; a cancelled one stays so.

        The ledger decides under its locks: a debit that comes later is refused. Raises a problem (409) once the debit
        was first. The workflow is told too, so that it does not wait for a reviewer; if that fails it finds out itself.
        """
        standing = await self._end_as_cancelled(transfer)
        await self._temporal.cancel(transfer.workflow_id)
        cancelled = await self._transfer_reads.visible(transfer.owner_id, standing.transfer_id)
        assert cancelled is not None, "transfers are never deleted"
        return cancelled

    async def until_final(self, transfer: Transfer, wait_seconds: float) -> Transfer:
        """The transfer once it is final, or as it stands when the time is over."""
        async with self._settlements.watch(transfer.id) as watch:

            async def read() -> Transfer | None:
                return await self._transfer_reads.visible(transfer.owner_id, transfer.id)

            found = await self._settlements.final_within(wait_seconds, watch, lambda told: told, read)
        assert found is not None, "transfers are never deleted"
        return found

    async def _end_as_cancelled(self, transfer: Transfer) -> Standing:
        """A debit that waits for its account holds the transfer meanwhile, as long as a lock may be waited for."""
        for tries_left in reversed(range(CANCEL_TRIES)):
            try:
                return await self._book.end(Ending(Step(transfer.id, transfer.attempt)), State.CANCELLED)
            except IllegalTransition as conflict:
                raise Problem("too_late_to_cancel", f"The transfer is {conflict.state}.") from conflict
            except Unavailable:
                if not tries_left:
                    raise
        raise AssertionError("the last try answers or raises")

    async def _known(self, order: TransferOrder) -> Intake:
        return await self._transfer_reads.intake(
            order.owner_id, order.idempotency_key, order.customer_account_id, order.transaction_id
        )

    async def _is_started(self, order: TransferOrder) -> bool:
        """Whether a request with this key was accepted, though its row is not written yet."""
        return await self._temporal.fingerprint(order.workflow_id) is not None

    async def _write_down(self, order: TransferOrder, *, replayed: bool) -> Transfer:
        """No worker has opened the transfer yet: write its row here, so that it can be read once it is acknowledged."""
        if replayed:
            first = await self._temporal.fingerprint(order.workflow_id)
            if first not in (None, order.fingerprint):
                raise Problem("idempotency_key_reused")
        try:
            await self._book.open_transfer(order)
        except OrderMismatch as error:
            raise Problem("idempotency_key_reused") from error
        transfer = _first_of(await self._known(order), order)
        assert transfer is not None, "the row was just written"
        return transfer


def _first_of(known: Intake, order: TransferOrder) -> Transfer | None:
    """The transfer that this request already names, or a problem where it was named for something else."""
    if first := known.by_key:
        if first.fingerprint != order.fingerprint:
            raise Problem("idempotency_key_reused")
        return first
    if first := known.by_transaction_id:
        if (first.kind, first.amount_minor, first.currency) != (order.kind, order.amount_minor, order.currency):
            raise Problem("transaction_id_reused")
        return first
    return None
