"""The story of Ada and Ben: what happens to money when all goes well, and when it does not.

They tell it over HTTP. Only two things are done behind the API's back: an account is held between two steps of a
transfer, and the API with its worker is killed while money is in transit.
"""

import asyncio
import os
import shlex
import shutil
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar
from urllib.parse import quote

import httpx

from api.transfers.models import TransferOut
from database.connections import Database
from devenv.demo.customers import CURRENCY, DemoCustomer, HttpAnswer, Unforeseen
from devenv.demo.narration import Narration
from devenv.demo.postgres import holding
from devenv.home import RunRecord
from devenv.stack import Running
from ledger.accounts import AccountStatus
from ledger.ids import TransferId
from ledger.money import Money
from ledger.postgres.audit import Totals, audit
from ledger.postgres.book import Book
from ledger.transfers import Leg, State
from settings import Settings
from staff.postgres.reversal_record import record_reversal

Reply = TypeVar("Reply")

DECLINE_FROM_MAJOR = 10_000
"""Screening has to decline from here on for the story to hold."""
IN_FLIGHT = 10

# Below the 10 s after which PostgreSQL takes an account back from a session that holds it and does nothing.
DEBITED_WITHIN_SECONDS = 8.0
SETTLED_WITHIN_SECONDS = 20.0
RECOVERED_WITHIN_SECONDS = 60.0
POLL_SECONDS = 0.02

_TO_REPEAT = ("home", "api_port", "temporal_port", "temporal_ui_port")


@dataclass(frozen=True, slots=True)
class Holdings:
    """What the two hold at one moment, in minor units."""

    ada_minor: int
    ben_minor: int

    def __str__(self) -> str:
        return f"Ada holds {_usd(self.ada_minor)} and Ben {_usd(self.ben_minor)}"

    def after(self, *, ada: int = 0, ben: int = 0) -> "Holdings":
        """The same with these changes."""
        return Holdings(self.ada_minor + ada, self.ben_minor + ben)


class DemoScript:
    """Ada and Ben, from their registration to the proof of the books."""

    def __init__(
        self,
        running: RunRecord | Running,
        settings: Settings,
        http: httpx.AsyncClient,
        database: Database,
        narration: Narration,
    ) -> None:
        self._running = running
        self._settings = settings
        self._http = http
        self._database = database
        self._book = Book(database, record_reversal)
        self._narration = narration
        self._links: list[tuple[str, TransferOut]] = []
        self._ada: DemoCustomer
        self._ben: DemoCustomer

    async def tell(self) -> None:
        """All of it, in order. Raises `Unforeseen`, `Unavailable` or an HTTP error where it cannot go on."""
        began = time.monotonic()
        self._narration.heading("Remit moves money between accounts exactly once, whatever crashes on the way.")
        self._narration.line(
            "Each transfer is a workflow in Temporal over a double-entry ledger in PostgreSQL. Ada and Ben"
        )
        self._narration.line(
            f"show it on the API at {self._running.api_url}; what carries a ✓ was checked, not just printed."
        )
        await self.register()
        await self.deposit()
        await self.repeat(await self.transfer())
        await self.too_little_money()
        await self.declined()
        await self.compensated()
        if isinstance(self._running, Running):
            await self.crash(self._running)
        await self.prove_the_books()
        self._narration.result(time.monotonic() - began)
        self.look_around()

    async def register(self) -> None:
        """Two customers with an empty account each."""
        self._narration.step("Ada and Ben register", "POST /v1/auth/register opens a dollar account for each of them.")
        self._ada, self._ben = await asyncio.gather(
            DemoCustomer.register(self._http, "Ada Obi"), DemoCustomer.register(self._http, "Ben Mensah")
        )
        self._narration.table(
            ("customer", "account", "balance"),
            [(who.name, who.account.id, _usd(who.account.balance)) for who in (self._ada, self._ben)],
            numbers=("balance",),
        )
        self._narration.check("Both accounts are empty", expected=Holdings(0, 0), found=await self._holdings())

    async def deposit(self) -> None:
        """Money comes in from `world`."""
        self._narration.step("Ada deposits money", "A deposit is a transfer too: from the outside world to an account.")
        answers = [await self._ada.deposit(600_000, key) for key in ("pay1", "pay2")]
        self._show("World → Ada", *answers)
        self._narration.check("Both deposits arrived", expected=Holdings(1_200_000, 0), found=await self._holdings())

    async def transfer(self) -> HttpAnswer:
        """The plain case."""
        self._narration.step("Ada pays Ben", "One POST /v1/transfers, with an Idempotency-Key that names this payment.")
        before = await self._holdings()
        answer = await self._ada.send(self._ben, 125_500, "rent")
        after = await self._holdings()
        self._show("Ada → Ben", answer)
        self._narration.table(
            ("balance", "before", "after"),
            [
                ("Ada", _usd(before.ada_minor), _usd(after.ada_minor)),
                ("Ben", _usd(before.ben_minor), _usd(after.ben_minor)),
            ],
            numbers=("before", "after"),
        )
        self._narration.check("The transfer is completed", expected=State.COMPLETED, found=answer.accepted.state)
        self._narration.check(
            f"Exactly {_usd(125_500)} left Ada and reached Ben",
            expected=before.after(ada=-125_500, ben=125_500),
            found=after,
        )
        return answer

    async def repeat(self, first: HttpAnswer) -> None:
        """The same key again: with the same request, and with another."""
        self._narration.step(
            "The network fails, and Ada's client sends the payment again",
            "It cannot know whether the first request arrived. With the same key, asking again is safe.",
        )
        before = await self._holdings()
        again = await self._ada.send(self._ben, first.amount_minor, first.key)
        other = await self._ada.send(self._ben, first.amount_minor + 10_000, first.key)
        self._show("Ada → Ben", again, other)
        self._narration.check(
            "The repeat gets the first transfer, with Idempotent-Replayed: true",
            expected=(first.accepted.id, True),
            found=(again.accepted.id, again.replayed),
        )
        self._narration.check(
            "The key with another amount is a mistake of the client: 422",
            expected=(httpx.codes.UNPROCESSABLE_ENTITY, "idempotency_key_reused"),
            found=(other.status, other.problem_code),
        )
        await self._check_nothing_moved(before)

    async def too_little_money(self) -> None:
        """A refusal that is seen before anything moves."""
        self._narration.step(
            "Ben wants to send more than he has",
            "A refusal is an outcome of a transfer, with a code and a reason, and not an HTTP error.",
        )
        await self._refused(self._ben, self._ada, 200_000, "car", "insufficient_funds")

    async def declined(self) -> None:
        """A refusal by screening."""
        limit = DECLINE_FROM_MAJOR * 100
        self._narration.step(
            "Screening declines a transfer", f"Ada has the money, but screening declines any amount from {_usd(limit)}."
        )
        await self._refused(self._ada, self._ben, limit, "boat", "fraud_declined")

    async def compensated(self) -> None:
        """The credit is refused after the debit: the money goes back."""
        self._narration.step(
            "Ben's account is frozen while money is on its way to him",
            "Ada is debited, Ben may not be credited any more: the money must find its way back. To hit",
            "this moment every time, the demo keeps Ben's account locked until the debit is done.",
        )
        before = await self._holdings()
        began = time.monotonic()
        try:
            async with holding(self._book.database, self._ben.account.id) as account:
                answer = await self._ada.send(self._ben, 25_000, "gift", wait=False)
                transfer_id = answer.accepted.id
                await self._until_debited(transfer_id)
                in_transit = await self._holdings()
                await account.set_status(AccountStatus.FROZEN)
            ended = await self._until_final(transfer_id, SETTLED_WITHIN_SECONDS)
            took_ms = (time.monotonic() - began) * 1000
        finally:
            async with holding(self._book.database, self._ben.account.id) as account:
                await account.set_status(AccountStatus.ACTIVE)
        statements = [await who.statement(transfer_id) for who in (self._ada, self._ben)]

        self._show("Ada → Ben", answer)
        self._links.append(("Ada → Ben, gift", ended))
        self._narration.note(f"debited: {_usd(25_000)} are in transit. Now Ben's account is frozen.")
        self._narration.note(f"{ended.state} after {took_ms:.0f} ms. {_reason(ended)}")
        self._narration.table(
            ("statement", "leg", "amount", "before", "after"),
            [
                (who.name, line.leg, _usd(line.amount), _usd(line.balance_before), _usd(line.balance_after))
                for who, lines in zip((self._ada, self._ben), statements, strict=True)
                for line in lines
            ],
            numbers=("amount", "before", "after"),
        )
        self._narration.check(
            f"{_usd(25_000)} had left Ada and not reached Ben", expected=before.after(ada=-25_000), found=in_transit
        )
        self._narration.check(
            "The transfer is compensated, and says why",
            expected=(State.COMPENSATED, "account_frozen"),
            found=(ended.state, _code(ended)),
        )
        self._narration.check(
            "Ada's statement has the debit and its refund, Ben's has nothing",
            expected=([(Leg.DEBIT, -25_000), (Leg.REFUND, 25_000)], []),
            found=tuple([(line.leg, line.amount) for line in lines] for lines in statements),
        )
        await self._check_nothing_moved(before)

    async def crash(self, running: Running) -> None:
        """API and worker die with money in transit. Only for a stack that nobody else uses."""
        amount_minor, total_minor = 1_000, 1_000 * IN_FLIGHT
        keys = [f"c{number}" for number in range(1, IN_FLIGHT + 1)]
        self._narration.step(
            f"The service is killed with {IN_FLIGHT} transfers in flight",
            "kill -9 of the API and its worker, after the debits and before the credits: no one cleans up.",
        )
        before = await self._holdings()
        pid = running.pids["api"]
        async with holding(self._book.database, self._ben.account.id):
            sent = (self._ada.send(self._ben, amount_minor, key, wait=False) for key in keys)
            ids = [answer.accepted.id for answer in await asyncio.gather(*sent)]
            for transfer_id in ids:
                await self._until_debited(transfer_id)
            os.kill(pid, signal.SIGKILL)
            killed = time.monotonic()
            found = await audit(self._database)
        in_transit = sum(books.in_transit_minor for books in found.totals if books.currency == CURRENCY)
        self._narration.note(
            f"{IN_FLIGHT} times {_usd(amount_minor)} from Ada to Ben are debited; process {pid} is killed."
        )
        self._narration.check(
            f"The books hold even now: {_usd(in_transit)} in transit, accounted for to the cent",
            expected=([], True),
            found=(found.broken, in_transit >= total_minor),
        )

        await self._until(self._ready, "ready again", RECOVERED_WITHIN_SECONDS)
        back = time.monotonic() - killed
        ended = [await self._until_final(transfer_id, RECOVERED_WITHIN_SECONDS) for transfer_id in ids]
        done = time.monotonic() - killed
        again = await asyncio.gather(*(self._ada.send(self._ben, amount_minor, key) for key in keys))
        self._links.append((f"Ada → Ben, {keys[0]} of {IN_FLIGHT} that survived the crash", ended[0]))
        self._narration.note(
            f"After {back:.1f} s the service is back, and after {done:.1f} s every transfer has ended."
        )
        self._narration.check(
            f"All {IN_FLIGHT} are completed",
            expected=[State.COMPLETED] * IN_FLIGHT,
            found=[transfer.state for transfer in ended],
        )
        self._narration.check(
            f"All {IN_FLIGHT} requests, sent again, get the transfers of before",
            expected=[(transfer_id, True) for transfer_id in ids],
            found=[(answer.accepted.id, answer.replayed) for answer in again],
        )
        self._narration.check(
            f"{_usd(total_minor)} moved, once",
            expected=before.after(ada=-total_minor, ben=total_minor),
            found=await self._holdings(),
        )

    async def prove_the_books(self) -> None:
        """Every invariant, over everything this stack has ever done."""
        self._narration.step(
            "The books are proved",
            "All accounts sum to zero. What is in transit is what debited transfers are worth. Each balance",
            "is the sum of its entries, with no gap and no edit. Each transfer has the postings of its state.",
        )
        found = await audit(self._database)
        self._narration.table(
            ("currency", "accounts", "entries", "customers hold", "in transit", "outside world", "sum"),
            [(books.currency, f"{books.accounts:,}", f"{books.entries:,}", *_amounts(books)) for books in found.totals],
            numbers=("accounts", "entries", "customers hold", "in transit", "outside world", "sum"),
        )
        states = sorted(found.transfers_by_state.items(), key=lambda item: -item[1])
        self._narration.note("transfers: " + ", ".join(f"{count:,} {state}" for state, count in states))
        self._narration.check("Every invariant holds", expected=[], found=found.broken)

    def look_around(self) -> None:
        """Where to go from here."""
        narration, running, ours = self._narration, self._running, isinstance(self._running, Running)
        narration.heading("Look around")
        if ours:
            narration.note(f"The stack is stopped now; all of the above is kept in {self._settings.home}.")
            if repeat := _environment_to_repeat(self._settings):
                narration.line(f"export {repeat}")
        ways = [
            (f"{running.api_url}/docs", "the API, to try it out"),
            (running.temporal_ui_url or "REMIT_TEMPORAL_UI_URL is not set", "Temporal's Web UI"),
            (f"{'remit' if shutil.which('remit') else '.venv/bin/remit'} verify", "proves the books, at any time"),
        ]
        narration.table(("", ""), [("make run", "starts the same stack again"), *ways] if ours else ways)
        narration.note(f"Ada signs in as {self._ada.email} with the password {self._ada.password}")

        if running.temporal_ui_url is not None:
            narration.heading(f"Each transfer is a workflow in the Web UI{', once the stack runs' if ours else ''}")
            for label, transfer in self._links:
                narration.line(f"{label}: {transfer.state}", "dim")
                narration.line(self._web_ui(running.temporal_ui_url, transfer.workflow_id or ""))

    async def _refused(self, source: DemoCustomer, to: DemoCustomer, amount_minor: int, key: str, code: str) -> None:
        before = await self._holdings()
        answer = await source.send(to, amount_minor, key)
        self._show(f"{source.name} → {to.name}", answer)
        self._narration.note(_reason(answer.accepted))
        self._narration.check(
            f"The transfer has failed with {code}",
            expected=(State.FAILED, code),
            found=(answer.accepted.state, _code(answer.accepted)),
        )
        await self._check_nothing_moved(before)

    async def _check_nothing_moved(self, before: Holdings) -> None:
        self._narration.check(f"Nothing moved: {before}", expected=before, found=await self._holdings())

    def _show(self, what: str, *answers: HttpAnswer) -> None:
        rows = []
        for answer in answers:
            transfer = answer.transfer
            if transfer and transfer.state.is_final and not answer.replayed:
                self._links.append((f"{what}, {answer.key}", transfer))
            rows.append(
                (
                    # As wide as the widest of the whole story, so that its tables line up.
                    f"{what:<11}",
                    f"{answer.key:<4}",
                    f"{_usd(answer.amount_minor):>10}",
                    str(answer.status),
                    f"{answer.took_ms:>4.0f} ms",
                    f"{transfer.state if transfer else '':<11}",
                    transfer.id if transfer else answer.problem_code or "",
                )
            )
        headings = ("request", "key", "amount", "HTTP", "took", "state", "transfer")
        self._narration.table(headings, rows, numbers=("amount", "took"))

    def _web_ui(self, ui: str, workflow_id: str) -> str:
        return f"{ui}/namespaces/{self._settings.temporal_namespace}/workflows/{quote(workflow_id, safe='')}"

    async def _holdings(self) -> Holdings:
        return Holdings(*await asyncio.gather(self._ada.balance(), self._ben.balance()))

    async def _until_debited(self, transfer_id: TransferId) -> None:
        await self._until(partial(self._in, {State.DEBITED}, transfer_id), "debited", DEBITED_WITHIN_SECONDS)

    async def _until_final(self, transfer_id: TransferId, seconds: float) -> TransferOut:
        final = {state for state in State if state.is_final}
        return await self._until(partial(self._in, final, transfer_id), "in a final state", seconds)

    async def _in(self, states: set[State], transfer_id: TransferId) -> TransferOut | None:
        transfer = await self._ada.transfer(transfer_id)
        return transfer if transfer.state in states else None

    async def _ready(self) -> bool | None:
        return True if (await self._http.get("/ready")).status_code == httpx.codes.OK else None

    @staticmethod
    async def _until(ask: Callable[[], Awaitable[Reply | None]], what: str, seconds: float) -> Reply:
        """The first reply that is not None. A lost connection is none. Raises `Unforeseen` after the limit."""
        limit = time.monotonic() + seconds
        while time.monotonic() < limit:
            try:
                if (reply := await ask()) is not None:
                    return reply
            except httpx.TransportError:
                pass
            await asyncio.sleep(POLL_SECONDS)
        raise Unforeseen(f"not {what} within {seconds:g} s")


def _usd(amount_minor: int) -> str:
    return str(Money(amount_minor, CURRENCY))


def _amounts(books: Totals) -> tuple[str, ...]:
    amounts = (books.customers_minor, books.in_transit_minor, books.world_minor)
    return tuple(str(Money(amount_minor, books.currency)) for amount_minor in (*amounts, sum(amounts)))


def _code(transfer: TransferOut) -> str | None:
    return transfer.failure.code if transfer.failure else None


def _reason(transfer: TransferOut) -> str:
    return f"{transfer.failure.code}: {transfer.failure.message}" if transfer.failure else "no failure"


def _environment_to_repeat(settings: Settings) -> str:
    """What has to be set for `make run` to find this home and these ports again; empty where they are the defaults."""
    return " ".join(
        f"REMIT_{name.upper()}={shlex.quote(str(value))}"
        for name in _TO_REPEAT
        if (value := getattr(settings, name)) != Settings.model_fields[name].default
    )
