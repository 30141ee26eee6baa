"""The order of the demo's chapters, the audit at its end, and where a reader goes next."""

import shlex
import shutil
import time
from urllib.parse import quote

import httpx

from database.connections import Database
from devenv.demo import failures, listeners, onboarding, payments
from devenv.demo.context import DemoContext
from devenv.demo.output import DemoOutput
from devenv.demo.shop import Shop
from devenv.home import RunRecord
from devenv.stack import Running, are_pages_built
from ledger.money import Money
from ledger.postgres.audit import Totals, audit
from settings import Settings

# The settings that lead `make run` to the same home and ports.
_LOCATION = ("home", "api_port", "temporal_port", "temporal_ui_port")


async def play(
    running: RunRecord | Running, settings: Settings, http: httpx.AsyncClient, database: Database, output: DemoOutput
) -> None:
    """Play all chapters. Raises `UnexpectedAnswer`, `Unavailable` or an HTTP error where the demo cannot continue.

    A stack that others may use is not crashed.
    """
    began = time.monotonic()
    output.heading("Remit moves money between accounts exactly once, even when a process crashes on the way.")
    output.line("Each transfer is a workflow in Temporal over a double-entry ledger in PostgreSQL. The demo uses")
    output.line(f"the API at {running.api_url}. A line with ✓ is a claim that it has just checked.")
    ada, ben = await payments.register(http, output)
    demo = DemoContext(running, settings, http, database, output, ada, ben)
    await payments.deposit(demo)
    await payments.repeat(demo, await payments.pay(demo))
    await payments.pay_salaries(demo)
    async with Shop() as shop:
        sold = await listeners.sell(demo, shop)
        await _between(demo)
        await listeners.hear(demo, shop, sold)
    await payments.read_statement(demo)
    await audit_the_books(demo)
    output.result(time.monotonic() - began)
    show_next_steps(demo)


async def _between(demo: DemoContext) -> None:
    """What happens while the shop's endpoint is down."""
    await payments.overdraw(demo)
    await payments.exceed(demo)
    await payments.decline(demo)
    await payments.flag(demo)
    await onboarding.onboard(demo)
    await failures.freeze_in_transit(demo)
    if isinstance(demo.running, Running):
        await failures.crash(demo, demo.running)


async def audit_the_books(demo: DemoContext) -> None:
    """Check every invariant, over everything that this stack has ever done."""
    demo.output.step(
        "The books are audited",
        "All accounts sum to zero. The amount in transit is that of the debited transfers. Each balance",
        "is the sum of its entries, none missing or edited. Each transfer has the postings of its state.",
    )
    found = await audit(demo.database, full=True)
    demo.output.table(
        ("currency", "accounts", "entries", "customers hold", "in transit", "outside world", "sum"),
        [(books.currency, f"{books.accounts:,}", f"{books.entries:,}", *_amounts(books)) for books in found.totals],
        numbers=("accounts", "entries", "customers hold", "in transit", "outside world", "sum"),
    )
    states = sorted(found.transfers_by_state.items(), key=lambda item: -item[1])
    demo.output.note("transfers: " + ", ".join(f"{count:,} {state}" for state, count in states))
    demo.output.check("Every invariant holds", expected=[], found=found.broken)


def show_next_steps(demo: DemoContext) -> None:
    """How to start the same stack again, sign in, and open the transfers in Temporal's Web UI."""
    output, running, is_stopped = demo.output, demo.running, isinstance(demo.running, Running)
    output.heading("Next steps")
    if is_stopped:
        output.note(f"The stack is stopped. Its data is kept in {demo.settings.home}.")
        if location := _environment(demo.settings):
            output.line(f"export {location}")
    ways = [
        *([(f"{running.api_url}/app", "the pages for people: sign in as Ada")] if are_pages_built() else []),
        (f"{running.api_url}/docs", "the API's documentation, to try it out"),
        (running.temporal_ui_url or "REMIT_TEMPORAL_UI_URL is not set", "Temporal's Web UI"),
        (f"{'remit' if shutil.which('remit') else '.venv/bin/remit'} verify", "audits the books at any time"),
    ]
    output.table(("", ""), [("make run", "starts the same stack again"), *ways] if is_stopped else ways)
    output.note(f"Ada signs in as {demo.ada.email} with the password {demo.ada.password}")

    if running.temporal_ui_url is not None:
        output.heading(f"Each transfer is a workflow in the Web UI{', once the stack runs' if is_stopped else ''}")
        for label, transfer in demo.links:
            output.line(f"{label}: {transfer.state}", "dim")
            workflow = quote(transfer.workflow_id or "", safe="")
            output.line(f"{running.temporal_ui_url}/namespaces/{demo.settings.temporal_namespace}/workflows/{workflow}")


def _amounts(books: Totals) -> tuple[str, ...]:
    amounts = (books.customers_minor, books.in_transit_minor, books.world_minor)
    return tuple(str(Money(amount_minor, books.currency)) for amount_minor in (*amounts, sum(amounts)))


def _environment(settings: Settings) -> str:
    """The variables that lead `make run` to this home and these ports; empty where they are the defaults."""
    return " ".join(
        f"REMIT_{name.upper()}={shlex.quote(str(value))}"
        for name in _LOCATION
        if (value := getattr(settings, name)) != Settings.model_fields[name].default
    )
