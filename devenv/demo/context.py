"""What all chapters of the demo share: Ada and Ben, the running stack, the output, and waiting with a limit."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import httpx

from api.transfers.models import TransferOut
from api.webhooks.models import EndpointSecretOut
from database.connections import Database
from devenv.demo.customers import CURRENCY, DemoCustomer, HttpAnswer, UnexpectedAnswer
from devenv.demo.output import DemoOutput
from devenv.home import RunRecord
from devenv.stack import Running
from ledger.ids import TransferId
from ledger.money import Money
from ledger.transfers import State
from settings import Settings

Reply = TypeVar("Reply")

# Below the 10 s after which PostgreSQL ends a session that locks an account and does nothing.
DEBITED_WITHIN_SECONDS = 8.0
POLL_SECONDS = 0.02


def usd(amount_minor: int) -> str:
    """An amount as people write it."""
    return str(Money(amount_minor, CURRENCY))


def failure_code(transfer: TransferOut) -> str | None:
    """The code of the refusal that ended the transfer, if one did."""
    return transfer.failure.code if transfer.failure else None


def failure_text(transfer: TransferOut) -> str:
    """The refusal that ended the transfer, with its code."""
    return f"{transfer.failure.code}: {transfer.failure.message}" if transfer.failure else "no failure"


@dataclass(frozen=True, slots=True)
class Holdings:
    """What the two hold at one moment, in minor units."""

    ada_minor: int
    ben_minor: int

    def __str__(self) -> str:
        return f"Ada holds {usd(self.ada_minor)} and Ben {usd(self.ben_minor)}"

    def after(self, *, ada: int = 0, ben: int = 0) -> "Holdings":
        """The same with these changes."""
        return Holdings(self.ada_minor + ada, self.ben_minor + ben)


@dataclass(frozen=True, slots=True)
class DemoContext:
    """One run of the demo. A chapter is a function of it, and every claim in a chapter goes to `output`."""

    running: RunRecord | Running
    settings: Settings
    http: httpx.AsyncClient
    database: Database
    output: DemoOutput
    ada: DemoCustomer
    ben: DemoCustomer
    # Final transfers with a label, for the links at the end.
    links: list[tuple[str, TransferOut]] = field(default_factory=list)
    # Ada's webhook endpoints.
    endpoints: list[EndpointSecretOut] = field(default_factory=list)

    async def holdings(self) -> Holdings:
        """What both hold now."""
        return Holdings(*await asyncio.gather(self.ada.balance(), self.ben.balance()))

    async def check_no_money_moved(self, before: Holdings) -> None:
        """Claim that both hold what they held before."""
        self.output.check(f"No money moved: {before}", expected=before, found=await self.holdings())

    def show(self, title: str, *answers: HttpAnswer) -> None:
        """A table of requests and their answers. Keeps the transfers that ended for the links."""
        rows = []
        for answer in answers:
            transfer = answer.transfer
            if transfer and transfer.state.is_final and not answer.replayed:
                self.links.append((f"{title}, {answer.key}", transfer))
            rows.append(
                (
                    # As wide as the widest of the whole demo, so that its tables line up.
                    f"{title:<11}",
                    f"{answer.key:<4}",
                    f"{usd(answer.amount_minor):>10}",
                    str(answer.status),
                    f"{answer.took_ms:>4.0f} ms",
                    f"{transfer.state if transfer else '':<11}",
                    transfer.id if transfer else answer.problem_code or "",
                )
            )
        headings = ("request", "key", "amount", "HTTP", "took", "state", "transfer")
        self.output.table(headings, rows, numbers=("amount", "took"))

    async def until_debited(self, transfer_id: TransferId) -> None:
        """Wait until a transfer of Ada's is debited."""
        await self.until(partial(self._in, {State.DEBITED}, transfer_id), "debited", DEBITED_WITHIN_SECONDS)

    async def until_final(self, transfer_id: TransferId, seconds: float) -> TransferOut:
        """Wait until a transfer of Ada's has ended."""
        final = {state for state in State if state.is_final}
        return await self.until(partial(self._in, final, transfer_id), "in a final state", seconds)

    async def until_ready(self, seconds: float) -> None:
        """Wait until the API is ready."""
        await self.until(self._ready, "ready again", seconds)

    @staticmethod
    async def until(ask: Callable[[], Awaitable[Reply | None]], what: str, seconds: float) -> Reply:
        """The first reply that is not None. A lost connection is None. Raises `UnexpectedAnswer` at the limit."""
        limit = time.monotonic() + seconds
        while time.monotonic() < limit:
            try:
                if (reply := await ask()) is not None:
                    return reply
            except httpx.TransportError:
                pass
            await asyncio.sleep(POLL_SECONDS)
        raise UnexpectedAnswer(f"not {what} within {seconds:g} s")

    async def _in(self, states: set[State], transfer_id: TransferId) -> TransferOut | None:
        transfer = await self.ada.transfer(transfer_id)
        return transfer if transfer.state in states else None

    async def _ready(self) -> bool | None:
        return True if (await self.http.get("/ready")).status_code == httpx.codes.OK else None
