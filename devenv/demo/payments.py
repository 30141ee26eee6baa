"""The chapters in which nothing breaks: registration, deposits, a payment, its repeat, salaries, and two refusals."""

import asyncio
import time
from functools import partial

import httpx

from api.batches.models import BatchOut
from batches.batch import BatchState
from devenv.demo.context import DemoContext, Holdings, failure_code, failure_text, usd
from devenv.demo.customers import DemoCustomer, HttpAnswer
from devenv.demo.output import DemoOutput
from ledger.ids import CustomerId
from ledger.transfers import State
from screening.postgres.cases import Cases
from statements.renderings.formats import contents_of
from statements.renderings.statement_format import StatementFormat
from statements.statement import StatementState

# Reads cases as somebody who is a party of none.
NOBODY = CustomerId("cus_nobody")

DECLINE_FROM_MAJOR = 10_000
"""The demo counts on screening to decline amounts from here on."""

SALARIES = 1_000
SALARY_MINOR = 100
PAID_WITHIN_SECONDS = 20.0


async def register(http: httpx.AsyncClient, output: DemoOutput) -> tuple[DemoCustomer, DemoCustomer]:
    """Register Ada and Ben, with an empty account each."""
    output.step("Ada and Ben register", "POST /v1/auth/register opens a dollar account for each of them.")
    ada, ben = await asyncio.gather(DemoCustomer.register(http, "Ada Obi"), DemoCustomer.register(http, "Ben Mensah"))
    output.table(
        ("customer", "account", "balance"),
        [(who.name, who.account.id, usd(who.account.balance)) for who in (ada, ben)],
        numbers=("balance",),
    )
    found = Holdings(*await asyncio.gather(ada.balance(), ben.balance()))
    output.check("Both accounts are empty", expected=Holdings(0, 0), found=found)
    return ada, ben


async def deposit(demo: DemoContext) -> None:
    """Two deposits to Ada's account."""
    demo.output.step("Ada deposits money", "A deposit is a transfer too: from the outside world to an account.")
    answers = [await demo.ada.deposit(700_000, key) for key in ("pay1", "pay2")]
    demo.show("World → Ada", *answers)
    demo.output.check("Both deposits arrived", expected=Holdings(1_400_000, 0), found=await demo.holdings())


async def pay(demo: DemoContext) -> HttpAnswer:
    """One transfer that completes."""
    demo.output.step("Ada pays Ben", "One POST /v1/transfers, with an Idempotency-Key that names this payment.")
    before = await demo.holdings()
    answer = await demo.ada.send(demo.ben, 125_500, "rent")
    after = await demo.holdings()
    demo.show("Ada → Ben", answer)
    demo.output.table(
        ("balance", "before", "after"),
        [
            ("Ada", usd(before.ada_minor), usd(after.ada_minor)),
            ("Ben", usd(before.ben_minor), usd(after.ben_minor)),
        ],
        numbers=("before", "after"),
    )
    demo.output.check("The transfer is completed", expected=State.COMPLETED, found=answer.accepted.state)
    demo.output.check(
        f"Exactly {usd(125_500)} left Ada and reached Ben",
        expected=before.after(ada=-125_500, ben=125_500),
        found=after,
    )
    return answer


async def repeat(demo: DemoContext, first: HttpAnswer) -> None:
    """The same key again: with the same request, and with another."""
    demo.output.step(
        "The network fails, and Ada's client sends the payment again",
        "The client cannot know whether the first request arrived. A repeat with the same key is safe.",
    )
    before = await demo.holdings()
    again = await demo.ada.send(demo.ben, first.amount_minor, first.key)
    other = await demo.ada.send(demo.ben, first.amount_minor + 10_000, first.key)
    demo.show("Ada → Ben", again, other)
    demo.output.check(
        "The repeat returns the first transfer, with Idempotent-Replayed: true",
        expected=(first.accepted.id, True),
        found=(again.accepted.id, again.replayed),
    )
    demo.output.check(
        "The same key with another amount is refused: 422",
        expected=(httpx.codes.UNPROCESSABLE_ENTITY, "idempotency_key_reused"),
        found=(other.status, other.problem_code),
    )
    await demo.check_no_money_moved(before)


async def pay_salaries(demo: DemoContext) -> None:
    """Ada pays a salary run."""
    demo.output.step(
        f"Ada pays {SALARIES:,} salaries by one request",
        "POST /v1/batches checks all of them first. A workflow posts 500 in each transaction.",
    )
    before = await demo.holdings()
    began = time.monotonic()
    accepted = await demo.ada.send_batch(demo.ben, SALARY_MINOR, SALARIES)
    answered = time.monotonic()
    paid = await demo.until(partial(_ended, demo, accepted), "paid", PAID_WITHIN_SECONDS)
    took = time.monotonic() - began
    demo.output.table(
        ("batch", "items", "each", "HTTP took", "all paid after", "state"),
        [
            (
                paid.id,
                f"{paid.total:,}",
                usd(SALARY_MINOR),
                f"{(answered - began) * 1000:.0f} ms",
                f"{took:.1f} s",
                paid.state.value,
            )
        ],
        numbers=("items", "each", "HTTP took", "all paid after"),
    )
    demo.output.check(
        "Every salary is paid once",
        expected=(SALARIES, before.after(ada=-SALARIES * SALARY_MINOR, ben=SALARIES * SALARY_MINOR)),
        found=(paid.counts.completed, await demo.holdings()),
    )


async def overdraw(demo: DemoContext) -> None:
    """A transfer that the source cannot pay."""
    demo.output.step(
        "Ben sends more than he has",
        "A refusal is a result of the transfer, with a code and a reason. It is not an HTTP error.",
    )
    await _refused(demo, demo.ben, demo.ada, 400_000, "car", "insufficient_funds")


async def exceed(demo: DemoContext) -> None:
    """A transfer above what the account's tier allows at once."""
    demo.output.step(
        "Ada sends more than her tier allows",
        "Her account has tier 1. GET /v1/accounts/{id}/limits says what is left of each limit.",
    )
    await _refused(demo, demo.ada, demo.ben, 6_000_000, "house", "limit_exceeded")


async def decline(demo: DemoContext) -> None:
    """A transfer that screening declines."""
    limit = DECLINE_FROM_MAJOR * 100
    demo.output.step(
        "Screening declines a transfer",
        f"Ada has enough money, but screening declines amounts of {usd(limit)} and more.",
    )
    await _refused(demo, demo.ada, demo.ben, limit, "boat", "fraud_declined")


async def flag(demo: DemoContext) -> None:
    """Three withdrawals within a minute: all of them move, and staff get a case."""
    demo.output.step(
        "Ben withdraws money three times within a minute",
        "Screening flags the third. A flag stops no money: it opens a case, which staff see and Ben does not.",
    )
    before = await demo.holdings()
    answers = [await demo.ben.withdraw(1_000, key) for key in ("atm1", "atm2", "atm3")]
    demo.show("Ben → World", *answers)
    demo.output.check("All three withdrawals arrived", expected=before.after(ben=-3_000), found=await demo.holdings())
    case_id = await Cases(demo.database).open_case_of(demo.ben.account.id)
    flags = (await Cases(demo.database).find(NOBODY, case_id)).flags if case_id else []
    for each in flags:
        demo.output.note(f"{case_id}: {each.reason}")
    demo.output.check(
        "Ben's account has an open case, for the third withdrawal",
        expected=[(answers[-1].accepted.id, "withdrawals_in_a_minute")],
        found=[(each.transfer_id, each.code) for each in flags],
    )


async def _refused(
    demo: DemoContext, source: DemoCustomer, to: DemoCustomer, amount_minor: int, key: str, code: str
) -> None:
    before = await demo.holdings()
    answer = await source.send(to, amount_minor, key)
    demo.show(f"{source.name} → {to.name}", answer)
    demo.output.note(failure_text(answer.accepted))
    demo.output.check(
        f"The transfer failed with {code}",
        expected=(State.FAILED, code),
        found=(answer.accepted.state, failure_code(answer.accepted)),
    )
    await demo.check_no_money_moved(before)


async def read_statement(demo: DemoContext) -> None:
    """Make a statement over all that has happened, and read it in each format."""
    demo.output.step(
        "Ada gets a statement",
        "POST /v1/accounts/{id}/statements cuts it between two entries. PDF, CSV, JSON and camt.053 say the same.",
    )
    made, balance = await demo.ada.make_statement(), await demo.ada.balance()
    demo.output.table(
        ("statement", "entries", "opening", "paid in", "paid out", "closing"),
        [
            (
                str(made.number),
                str(made.lines),
                *(usd(amount or 0) for amount in (made.opening, made.credits, made.debits, made.closing)),
            )
        ],
        numbers=("entries", "opening", "paid in", "paid out", "closing"),
    )
    demo.output.check("It is ready at once", expected=StatementState.READY, found=made.state)
    sums = made.opening + (made.credits or 0) - (made.debits or 0)
    demo.output.check(
        "Opening, plus what came in, less what went out, is the closing and the balance",
        expected=(balance, balance),
        found=(sums, made.closing),
    )
    files = {name: await demo.ada.read_file(path) for name, path in made.files.items()}
    closings = {
        name: contents_of(file).closing_minor for name, file in files.items() if name is not StatementFormat.PDF
    }
    demo.output.check("CSV, JSON and camt.053 say so, too", expected={made.closing}, found=set(closings.values()))
    again = await demo.ada.read_file(made.files[StatementFormat.PDF])
    demo.output.check(
        f"The PDF of {len(again):,} bytes is the same when it is read again",
        expected=files[StatementFormat.PDF],
        found=again,
    )


async def _ended(demo: DemoContext, accepted: BatchOut) -> BatchOut | None:
    found = await demo.ada.batch(accepted.id)
    return found if BatchState(found.state).is_final else None
