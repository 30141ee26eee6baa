"""Waiting for an account outside of PostgreSQL.

A step that waits for a row lock holds a connection all the while, so one account that is held, or paid by everybody,
could take every connection of a process. What needs an account therefore queues here, and only the first in the queue
holds a connection. Actions of staff come before steps.

Steps do not queue for an account that somebody holds: they would take the worker's slots from other accounts. One at a
time tries, and the others are told when to come again.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from functools import partial

from database.connections import RowHeld, Unavailable
from ledger.ids import SYSTEM_ACCOUNTS, AccountId

# After this a waiting step is in doubt and is repeated. Its workflow task lives for 3 s.
PATIENCE = timedelta(seconds=2)

# Staff wait longer, because a person waits for the answer; the row's lock has its own limit.
STAFF_PATIENCE = timedelta(seconds=8)

# A turn that takes so long waits for a row that another transaction holds. A step needs milliseconds.
HELD_AFTER = timedelta(milliseconds=500)

# When steps on a held account come again: the first after this pause, then so many a second. However many they are,
# they leave the worker and Temporal to other accounts.
FIRST_RETURN = timedelta(milliseconds=200)
RETURNS_A_SECOND = 10

# Who locks many accounts at once lets the steps that wait for them go first, and waits no longer than this for it.
COURTESY = timedelta(milliseconds=500)

# The accounts whose last failure is kept. Beyond that, the oldest is dropped.
MOST_FAILURES = 1_000

_NO_ANSWER = "The first step in the queue has no answer yet."


class AccountBusy(Unavailable):
    """The account's turn did not come. Nothing was done."""

    def __init__(self, account_id: AccountId, why: str, places: "_LastFailure | None" = None) -> None:
        super().__init__(why)
        self.account_id = account_id
        self._places = places

    @property
    def is_held(self) -> bool:
        """Whether another transaction is known to hold the account. If not, come again as usual."""
        return self._places is not None

    def take_place(self) -> timedelta:
        """When to come again to an account that is held: nobody else does then.

        Only who does come then takes a place: one that nobody uses makes all others wait for longer.
        """
        assert self._places is not None, "it is not held"
        return self._places.take()


class _LastFailure:
    """Why the last turn on an account had no answer, and if another transaction holds it, when steps come again."""

    def __init__(self, cause: str, *, is_held: bool) -> None:
        self.cause = cause
        self.is_held = is_held
        self._next_return_ns = 0

    def take(self) -> timedelta:
        """The place of one more step among those that come again."""
        now = time.monotonic_ns()
        place = max(now + FIRST_RETURN // timedelta(microseconds=1) * 1_000, self._next_return_ns)
        self._next_return_ns = place + 1_000_000_000 // RETURNS_A_SECOND
        return timedelta(microseconds=(place - now) // 1_000)


class Turn:
    """The turn of one step, or of staff, on an account."""

    def __init__(self, takes_too_long: Callable[[], None] | None) -> None:
        self._takes_too_long = takes_too_long
        self._watch: asyncio.TimerHandle | None = None

    def has_connection(self) -> None:
        """PostgreSQL is asked from now on. A wait for a connection before that says nothing about the account."""
        if self._watch is None and self._takes_too_long is not None:
            self._watch = asyncio.get_running_loop().call_later(HELD_AFTER.total_seconds(), self._takes_too_long)

    def is_over(self) -> None:
        """Nobody waits behind it any more."""
        if self._watch is not None:
            self._watch.cancel()


class _Queue:
    """Who waits for one account, in the order of their turns."""

    def __init__(self) -> None:
        self.staff: deque[asyncio.Future[None]] = deque()
        self.steps: deque[asyncio.Future[None]] = deque()
        self.is_taken = False

    def pass_on(self) -> None:
        """Give the turn to the next in the queue, if anybody still waits."""
        for waiting in (self.staff, self.steps):
            while waiting:
                turn = waiting.popleft()
                if not turn.done():
                    turn.set_result(None)
                    return
        self.is_taken = False

    @property
    def length(self) -> int:
        """How many have the turn or wait for it."""
        return self.is_taken + len(self.staff) + len(self.steps)


class AccountQueues:
    """One queue for each account that this process needs now, and why the last turn on it got no answer."""

    def __init__(self) -> None:
        self._queues: dict[AccountId, _Queue] = {}
        self._failures: dict[AccountId, _LastFailure] = {}

    @asynccontextmanager
    async def turn(self, account_id: AccountId, *, for_staff: bool = False) -> AsyncIterator[Turn]:
        """Hold the account's turn for the block. `world` has no queue. Staff come before steps.

        The block says when it has its connection: from then on, a turn that takes too long means a row that is held.

        Raises `AccountBusy` if the turn does not come in time, with the last failure on this account as its cause; at
        once for a step if another transaction holds the account. A row that is held in the block raises it, too.
        """
        if account_id in SYSTEM_ACCOUNTS:
            yield Turn(None)
            return
        queue = self._queues.setdefault(account_id, _Queue())
        try:
            await self._take(queue, account_id, for_staff=for_staff)
            turn = Turn(partial(self._refuse_steps, account_id))
            has_answer = True
            try:
                yield turn
            except RowHeld as held:
                has_answer = False
                self._keep(account_id, _LastFailure(str(held), is_held=True))
                raise AccountBusy(account_id, f"{account_id} is busy. {held}") from held
            except Unavailable as error:
                has_answer = False
                self._keep(account_id, _LastFailure(str(error), is_held=False))
                raise
            except asyncio.CancelledError:
                has_answer = False
                raise
            finally:
                if has_answer:  # also a refusal
                    self._failures.pop(account_id, None)
                turn.is_over()
                queue.pass_on()
        finally:
            self._forget_empty(queue, account_id)

    async def let_steps_pass(self, account_ids: Iterable[AccountId]) -> None:
        """Return once the steps that wait for these accounts now have had their turns, or after half a second.

        For whoever locks many accounts, again and again. Only the first step in a queue waits in PostgreSQL: without
        this, a posting that follows a posting would let one step between them, however many wait.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(COURTESY.total_seconds()):
                for account_id in account_ids:
                    if (queue := self._queues.get(account_id)) is not None:
                        # Steps that are sent away, because somebody holds the account, come again by themselves.
                        with suppress(AccountBusy):
                            await self._pass_through(queue, account_id)

    async def _pass_through(self, queue: _Queue, account_id: AccountId) -> None:
        """Take the turn behind those who wait, and give it on at once."""
        try:
            await self._take(queue, account_id, for_staff=False)
            queue.pass_on()
        finally:
            self._forget_empty(queue, account_id)

    def _forget_empty(self, queue: _Queue, account_id: AccountId) -> None:
        if not queue.length and self._queues.get(account_id) is queue:
            del self._queues[account_id]

    async def _take(self, queue: _Queue, account_id: AccountId, *, for_staff: bool) -> None:
        if not queue.is_taken:
            queue.is_taken = True
            return
        failure = self._failures.get(account_id)
        if failure and failure.is_held and not for_staff:
            raise self._busy(account_id, failure)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        line = queue.staff if for_staff else queue.steps
        line.append(turn)
        try:
            async with asyncio.timeout((STAFF_PATIENCE if for_staff else PATIENCE).total_seconds()):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                queue.pass_on()  # the turn came in the same moment
            with suppress(ValueError):  # it has left the line already
                line.remove(turn)
            if isinstance(error, TimeoutError):
                raise self._too_late(account_id, queue) from error
            raise

    def _refuse_steps(self, account_id: AccountId) -> None:
        """The turn takes too long: send the steps that wait behind it away."""
        queue = self._queues[account_id]
        failure = self._failures.get(account_id)
        if failure is None or not failure.is_held:
            failure = _LastFailure(failure.cause if failure else _NO_ANSWER, is_held=True)
            self._keep(account_id, failure)
        waiting, queue.steps = queue.steps, deque()
        for turn in waiting:
            if not turn.done():
                turn.set_exception(self._busy(account_id, failure))

    def _busy(self, account_id: AccountId, failure: _LastFailure) -> AccountBusy:
        why = f"{failure.cause} (Steps of this process come again one after the other: {account_id} is busy.)"
        return AccountBusy(account_id, why, failure)

    def _too_late(self, account_id: AccountId, queue: _Queue) -> AccountBusy:
        failure = self._failures.get(account_id)
        cause = failure.cause if failure else _NO_ANSWER
        return AccountBusy(account_id, f"{cause} ({queue.length} steps of this process wait for {account_id}.)")

    def _keep(self, account_id: AccountId, failure: _LastFailure) -> None:
        known = self._failures.pop(account_id, None)
        if known is not None and known.is_held and failure.is_held:
            known.cause = failure.cause
            failure = known  # who comes again keeps the place
        self._failures[account_id] = failure
        if len(self._failures) > MOST_FAILURES:
            del self._failures[next(iter(self._failures))]
