"""Limits on failed sign-ins. PostgreSQL counts them for all processes; an attempt in flight is no failure."""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from api.http.problems import Problem
from customers.customer import Customer
from customers.sign_ins.postgres import SignInAttempt, SignIns

# More attempts of one client at one account that wait for each other are told to come again.
WAITING_PER_ACCOUNT = 20

# So are those whose turn has not come by then: the client behind them has gone.
WAITING_SECONDS = 10


@dataclass
class _Turn:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    holders: int = 0


class LoginLimits:
    """Sign-ins of one client at one account come one after the other, so that many at once are no way around a wait."""

    def __init__(self, sign_ins: SignIns) -> None:
        self._sign_ins = sign_ins
        self._turns: dict[tuple[str, str], _Turn] = {}

    @asynccontextmanager
    async def sign_in(self, attempt: SignInAttempt) -> AsyncIterator["SignInOutcome"]:
        """One sign-in: the block says how it ended. Raises the problem `too_many_attempts` where it has to wait.

        A block that raises before it says so counts for nobody: a lost database is no wrong password.
        """
        pair = (attempt.client.network, attempt.account)
        turn = self._turns.setdefault(pair, _Turn())
        if turn.holders > WAITING_PER_ACCOUNT:
            raise Problem("too_busy")
        turn.holders += 1
        try:
            async with _held(turn.lock):
                wait = math.ceil((await self._sign_ins.wait(attempt)).total_seconds())
                if wait > 0:
                    await self._sign_ins.record_refusal(attempt, wait)
                    raise Problem("too_many_attempts", headers={"Retry-After": str(wait)})
                yield SignInOutcome(self._sign_ins, attempt)
        finally:
            turn.holders -= 1
            if not turn.holders:
                del self._turns[pair]


@asynccontextmanager
async def _held(lock: asyncio.Lock) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(WAITING_SECONDS):
            await lock.acquire()
    except TimeoutError:
        raise Problem("too_busy") from None
    try:
        yield
    finally:
        lock.release()


@dataclass(frozen=True, slots=True)
class SignInOutcome:
    """How one sign-in ended, on record before it is answered."""

    sign_ins: SignIns
    attempt: SignInAttempt

    async def failed(self, customer: Customer | None) -> None:
        """The password was wrong, or nobody has the address."""
        await self.sign_ins.record_failure(self.attempt, customer.id if customer else None)

    async def refused(self, customer: Customer) -> None:
        """The password was right, and staff have disabled the customer."""
        await self.sign_ins.record_disabled(self.attempt, customer.id)

    async def succeeded(self, customer: Customer) -> None:
        """The password was right."""
        await self.sign_ins.record_success(self.attempt, customer.id)
