"""`remit show`: the whole file of a transfer as a timeline, from the books and from Temporal."""

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli.console import fail, run_async
from cli.database_choice import peoples_database
from database.connections import Unavailable
from ledger.ids import TransferId
from ledger.money import Money
from ledger.transfers import State, Transfer
from ledger.workflow_ids import recovery_workflow_id
from settings import Settings
from staff.postgres.timeline import Timeline, Timelines, TransferEvent

if TYPE_CHECKING:
    from api.temporal import PendingStep

WIDTH_IN_A_PIPE = 160

COLOURS = {State.COMPLETED: "green", State.FAILED: "red", State.COMPENSATED: "yellow", State.CANCELLED: "yellow"}


def show(
    transfer_id: Annotated[str, typer.Argument(metavar="TRANSFER", help="The id of a transfer: trf_…")],
) -> None:
    """Show everything about a transfer as a timeline: steps, reviews, staff's actions, messages, disputes."""
    from devenv.errors import StackError

    try:
        found, driver = run_async(_read(Settings(), TransferId(transfer_id)))
    except (StackError, Unavailable) as error:
        fail(" ".join(str(error).split()), status=2)
    if found is None:
        fail(f"The books have no transfer {transfer_id}.")
    _print(found, driver)


async def _read(settings: Settings, transfer_id: TransferId) -> "tuple[Timeline | None, PendingStep | str | None]":
    """The timeline, and the workflow that drives the transfer, or why that is not known; None: none runs."""
    from temporalio.service import RPCError

    from cli.overview.temporal_view import temporal_view

    async with peoples_database(settings, "remit-show") as database:
        await database.ping()
        found = await Timelines(database).read(transfer_id)
    if found is None or found.transfer.state.is_final:
        return found, None
    view = await temporal_view(settings)
    if isinstance(view, str):
        return found, f"Temporal does not answer: {view}"
    transfer = found.transfer
    try:
        return found, await view.driver((transfer.workflow_id, recovery_workflow_id(transfer.id, transfer.attempt)))
    except RPCError as error:
        return found, f"Temporal does not answer: {error}"


def _print(found: Timeline, driver: "PendingStep | str | None") -> None:
    transfer = found.transfer
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH_IN_A_PIPE)
    colour = COLOURS.get(transfer.state, "cyan")
    attempt = f", attempt {transfer.attempt}" if transfer.attempt > 1 else ""
    state = f"[{colour}]{transfer.state}[/]{attempt}"
    console.print(f"[bold]{transfer.id}[/]  {transfer.kind} of [bold]{transfer.amount}[/]  {state}")
    console.print(f"  from      {transfer.source_account_id}\n  to        {transfer.destination_account_id}")
    console.print(f"  workflow  {transfer.workflow_id}", markup=False, soft_wrap=True)
    if not transfer.state.is_final:
        console.print(f"  now       {_now_text(transfer, driver)}", markup=False, soft_wrap=True)
    # Wrapped text stays in its column.
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, style="dim")
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    day = None
    for event in found.events:
        if event.at.date() != day:
            day = event.at.date()
            table.add_row(f"{day}", "", "")
        name, text = _described(event, transfer)
        table.add_row(f"{event.at:%H:%M:%S.%f}"[:-3], name, Text(text))
    console.print()
    console.print(table)


def _now_text(transfer: Transfer, driver: "PendingStep | str | None") -> str:
    if isinstance(driver, str):
        return driver
    if driver is None:
        return "no workflow runs for it: recovery finishes it"
    if driver.step is None:
        waits = "for its review" if transfer.state is State.IN_REVIEW else "for a worker, or runs a step"
        return f"{driver.workflow_id} runs and waits {waits}"
    failure = f": {' '.join(driver.failure.split())}" if driver.failure else ""
    return f"{driver.step} is tried, attempt {driver.attempt}{failure}"


def _described(event: TransferEvent, transfer: Transfer) -> tuple[str, str]:
    """A name and a sentence for people."""
    describe = _TEXTS.get(event.name)
    name = event.name.replace("_", " ")
    return name, describe(event.facts, transfer) if describe else _ending(event.facts)


def _accepted(facts: Mapping[str, Any], _: Transfer) -> str:
    parts = [f"asked for by {facts['owner']} under the key {facts['key']}"]
    parts += [f"{name} {facts[field]}" for name, field in _NAMED if facts[field] is not None]
    return "; ".join(parts)


_NAMED = (("transaction_id", "transaction_id"), ("note:", "note"), ("reverses", "reverses"))


def _leg(facts: Mapping[str, Any], transfer: Transfer) -> str:
    moved = f"{transfer.amount} {facts['from']} → {facts['to']}"
    if facts["account"] is None:
        return moved
    before, after = (Money(facts[when], transfer.currency) for when in ("before", "after"))
    return f"{moved}; {facts['account']} has {after}, before {before} (entry {facts['version']})"


def _ending(facts: Mapping[str, Any]) -> str:
    why = f": {facts['code']}: {facts['message']}" if facts.get("code") else ""
    return f"attempt {facts['attempt']}{why}"


def _dispute_decided(facts: Mapping[str, Any], transfer: Transfer) -> str:
    amount = f" {Money(facts['amount'], transfer.currency)}" if facts["amount"] else ""
    return f"{facts['dispute']}: {facts['ruling']}{amount} by {facts['by']}: {facts['reason']}"


def _staff_acted(facts: Mapping[str, Any], _: Transfer) -> str:
    answer = f": {facts['answer']}" if facts["answer"] else ""
    who = f"{facts['role']} {facts['by']} by {facts['channel']}"
    return f"{facts['action']} by {who}, {facts['reason']!r}: {facts['outcome']}{answer}"


def _recovery_ended(facts: Mapping[str, Any], _: Transfer) -> str:
    states = f"from {facts['before']} to {facts['after']}"
    return f"attempt {facts['attempt']} {states} by {facts['workflow']} (run {facts['run']}): {facts['reason']}"


_TEXTS: Mapping[str, Callable[[Mapping[str, Any], Transfer], str]] = {
    "accepted": _accepted,
    "debit": _leg,
    "credit": _leg,
    "refund": _leg,
    "review_began": lambda facts, _: f"{facts['approvals']} to approve, until {facts['deadline']} UTC",
    "reviewers_reminded": lambda facts, _: f"attempt {facts['attempt']}",
    "review_decided": lambda facts, _: f"{facts['ruling']} by {facts['by']}: {facts['reason']}",
    "staff_acted": _staff_acted,
    "recovery_ended": _recovery_ended,
    "message": lambda facts, _: f"to {facts['to']}: {facts['body']}",
    "dispute_opened": lambda facts, _: f"{facts['dispute']} by {facts['by']}: {facts['reason']}",
    "dispute_statement": lambda facts, _: f"{facts['dispute']} by {facts['by']}: {facts['text']}",
    "dispute_decided": _dispute_decided,
    "dispute_closed": lambda facts, _: f"{facts['dispute']}: {facts['state']}. {facts['outcome'] or ''}",
    "reversal": lambda facts, transfer: (
        f"{facts['transfer']} brings back {Money(facts['amount'], transfer.currency)}: {facts['state']}"
    ),
}
