"""`remit status`: what is stuck, why, who blocks it, and the command to paste."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from shlex import quote
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from cli.console import fail, run_async
from cli.database_choice import peoples_database
from cli.overview.figures import counted, duration
from cli.overview.long_work import LongWork, long_work
from customers.documents.document import VerificationState
from database.connections import Unavailable
from events.postgres.sinks import SinkReads, SinkStanding
from ledger.ids import TransferId
from ledger.money import Money
from ledger.transfers import State
from ledger.workflow_ids import recovery_workflow_id
from settings import Settings
from staff.postgres.open_work import (
    Blocker,
    OpenCases,
    OpenWork,
    OpenWorkReads,
    StalledTransfer,
    UndecidedDocuments,
)

if TYPE_CHECKING:
    from api.temporal import PendingStep, RecoverySchedule
    from cli.overview.temporal_view import TemporalView

# A sink that is so far behind does not catch up by itself, unless a worker comes.
SINK_LAG_SECONDS = 60

# More than this is an outage, not a list to work through.
MOST_SHOWN = 20

# PostgreSQL's name for a lock that was not granted in time.
ROW_HELD = "LockNotAvailable"

STATE_TEXTS = {State.INITIATED: "not debited yet", State.DEBITED: "in transit"}

WAITS = {VerificationState.PENDING: "at the verifier", VerificationState.IN_REVIEW: "for a person"}


@dataclass(frozen=True, slots=True)
class StatusReport:
    """What both servers say. `temporal` is a sentence where Temporal does not answer."""

    work: OpenWork
    stalled: list[StalledTransfer]
    blockers: list[Blocker]
    temporal: str | None
    workers: int = 0
    recovery: "RecoverySchedule | None" = None
    sinks: Sequence[SinkStanding] = ()
    long_work: LongWork = field(default_factory=LongWork)
    drivers: "dict[TransferId, PendingStep | None]" = field(default_factory=dict)

    @property
    def needs_somebody(self) -> bool:
        """Whether a person should act."""
        overdue = self.work.reviews.overdue + self.work.disputes.overdue
        is_driven = self.temporal is None and self.workers and self.recovery and not self.recovery.is_paused
        is_long = self.long_work.needs_somebody
        return bool(self.stalled or self.blockers or overdue or self.held_sinks or is_long or not is_driven)

    @property
    def held_sinks(self) -> list[SinkStanding]:
        """The sinks of events that fail, or are so far behind that a person should look."""
        return [each for each in self.sinks if each.failing_since or each.lag_seconds >= SINK_LAG_SECONDS]


def status() -> None:
    """Show what is stuck, why, who blocks it, and what to do; exit 1 if somebody should act, 2 if unreadable."""
    from devenv.errors import StackError

    try:
        found = run_async(_read(Settings()))
    except (StackError, Unavailable) as error:
        fail(" ".join(str(error).split()), status=2)
    _print(found)
    raise SystemExit(1 if found.needs_somebody else 0)


async def _read(settings: Settings) -> StatusReport:
    from temporalio.service import RPCError

    from cli.overview.temporal_view import temporal_view

    async with peoples_database(settings, "remit-status") as database:
        await database.ping()
        reads = OpenWorkReads(database)
        work = await reads.read()
        stalled = await reads.stalled(settings.stuck_after_seconds, MOST_SHOWN)
        blockers, sinks = await reads.blockers(), await SinkReads(database).all()
        long = await long_work(database, MOST_SHOWN)
        view = await temporal_view(settings)
    if isinstance(view, str):
        return StatusReport(work, stalled, blockers, view, sinks=sinks, long_work=long)
    try:
        return StatusReport(
            work,
            stalled,
            blockers,
            None,
            workers=await view.workers(),
            recovery=await view.recovery(),
            drivers={found.id: await _driver_of(found, view) for found in stalled},
            sinks=sinks,
            long_work=long,
        )
    except RPCError as error:
        return StatusReport(work, stalled, blockers, str(error), sinks=sinks, long_work=long)


async def _driver_of(found: StalledTransfer, view: "TemporalView") -> "PendingStep | None":
    return await view.driver((found.workflow_id, recovery_workflow_id(found.id, found.attempt)))


def _print(found: StatusReport) -> None:
    # Lines are never broken: a command must stay one line to be copied.
    console = Console(highlight=False, soft_wrap=True, no_color=not sys.stdout.isatty())
    verdict = "[red]somebody should act[/]" if found.needs_somebody else "[green]nothing needs a person[/]"
    console.print(f"[bold]Remit[/], {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC: {verdict}")
    for name, text in _summary(found):
        console.print(f"  {name:<12}{text}")
    for blocker in found.blockers:
        _print_blocker(console, blocker)
    for transfer in found.stalled:
        _print_stalled(console, transfer, found)
    for title, lines in found.long_work.details():
        console.print(f"\n{title}")
        for name, text in lines:
            _print_detail(console, name, text)


def _summary(found: StatusReport) -> Iterator[tuple[str, str]]:
    yield "PostgreSQL", "answers"
    if found.temporal:
        yield "Temporal", f"[red]does not answer:[/] {escape(found.temporal)}"
    else:
        many = {0: "[red]no worker asks[/]", 1: "1 worker asks"}.get(found.workers, f"{found.workers} workers ask")
        yield "Temporal", f"answers; {many} for work"
        yield "Recovery", _recovery_text(found.recovery)
    for money in found.work.in_transit:
        amount, many = Money(money.amount_minor, money.currency), counted(money.transfers, "transfer")
        yield "In transit", f"{amount} in {many}, the first for {duration(money.oldest_seconds)}"
    if not found.work.in_transit:
        yield "In transit", "nothing"
    yield "In review", _cases_text(found.work.reviews, "transfer")
    if found.work.reviews.open:
        yield (
            "",
            """[cyan]temporal workflow list --query "TransferState='in_review' AND ExecutionStatus='Running'"[/]""",
        )
    yield "Disputes", _cases_text(found.work.disputes, "dispute")
    if found.work.disputes.open:
        yield "", """[cyan]temporal workflow list --query "DisputeState='open'"[/]"""
    yield "Cases", _cases_text(found.work.cases, "case")
    yield "Documents", _documents_text(found.work.documents)
    yield from found.long_work.summary()
    yield from _sinks_text(found)


def _sinks_text(found: StatusReport) -> Iterator[tuple[str, str]]:
    """One line where all sinks follow the events, else one for each that does not."""
    if not found.held_sinks:
        yield "Events", f"{counted(len(found.sinks), 'sink')} up to date" if found.sinks else "no sink has run yet"
    for place, sink in enumerate(found.held_sinks):
        behind = f"{counted(sink.lag_events, 'event')} behind, the first for {duration(sink.lag_seconds)}"
        why = f": {escape(sink.last_error)}" if sink.last_error else "" if sink.is_run else ", and no worker runs it"
        yield "" if place else "Events", f"[red]{sink.name}[/] is {behind}{why}"


def _recovery_text(found: "RecoverySchedule | None") -> str:
    if found is None:
        return "[red]has no schedule:[/] `remit migrate` creates it"
    swept = "has not run yet"
    if found.last_sweep_at is not None:
        swept = f"last ran {duration(int((datetime.now(UTC) - found.last_sweep_at).total_seconds()))} ago"
    if not found.is_paused:
        return swept
    command = "temporal schedule toggle --schedule-id recovery --unpause --reason 'ticket …'"
    return f"[red]paused:[/] no lost transfer is finished; {swept}\n{'':14}[cyan]{command}[/]"


def _cases_text(cases: OpenCases, noun: str) -> str:
    if not cases.open:
        return "nothing"
    overdue = f", [red]{cases.overdue} past the deadline[/]" if cases.overdue else ""
    return f"{counted(cases.open, noun)}{overdue}, the first for {duration(cases.oldest_seconds)}"


def _documents_text(found: list[UndecidedDocuments]) -> str:
    texts = [
        f"{counted(one.documents, 'document')} {WAITS[one.state]}, the first for {duration(one.oldest_seconds)}"
        for one in found
        if one.documents
    ]
    return "; ".join(texts) or "nothing"


def _print_blocker(console: Console, found: Blocker) -> None:
    who = ", ".join(filter(None, (found.login, found.application, found.address)))
    console.print(
        f"\n[red]Session {found.pid}[/] ({escape(who)}) holds locks on the books for {duration(found.seconds)}"
    )
    if found.query:
        _print_detail(console, "last", escape(" ".join(found.query.split())))
    _print_detail(console, "waiting", f"{counted(found.waiting, 'session')} at this moment")
    command = f'psql "$REMIT_OPERATOR_DATABASE_URL" -c "SELECT pg_terminate_backend({found.pid})"'
    _print_detail(console, "end it", f"[cyan]{command}[/]")


def _print_stalled(console: Console, found: StalledTransfer, status: StatusReport) -> None:
    where = f"{STATE_TEXTS[found.state]} for {duration(found.seconds)}"
    console.print(f"\n[red]{found.id}[/] {found.kind} of {found.amount}, {where}")
    _print_detail(console, "from, to", f"{found.source_account_id} → {found.destination_account_id}")
    if status.temporal:
        _print_detail(console, "why", "not known while Temporal does not answer")
    elif driver := status.drivers[found.id]:
        _print_driver(console, found, driver, has_blockers=bool(status.blockers))
    else:
        paused = status.recovery is not None and status.recovery.is_paused
        comes = "and recovery is paused" if paused else "recovery finishes it at its next run"
        _print_detail(console, "why", f"no workflow runs for it, {comes}")
        _print_detail(console, "run now", "[cyan]temporal schedule trigger --schedule-id recovery[/]")
    _print_detail(console, "all of it", f"[cyan]remit show {found.id}[/]")


def _print_driver(console: Console, found: StalledTransfer, driver: "PendingStep", *, has_blockers: bool) -> None:
    why = "its workflow waits for a worker"
    if driver.step:
        reason = f": {' '.join(driver.failure.split())}" if driver.failure else ", no failure yet"
        why = f"{driver.step}, attempt {driver.attempt}{reason}"
    _print_detail(console, "why", escape(why))
    if has_blockers and ROW_HELD in why:
        _print_detail(console, "blocked by", "the sessions above; it goes on by itself once they end")
    who = '\'{"actor": "cus_…", "reason": "ticket …"}\''
    for name, update in (("try now", "retry_now"), ("give back", "give_back")):
        if driver.step is None or (update == "give_back" and found.state is not State.DEBITED):
            continue
        command = f"temporal workflow update execute --workflow-id {quote(driver.workflow_id)} --name {update}"
        _print_detail(console, name, f"[cyan]{escape(command)} --input {escape(who)}[/]")


def _print_detail(console: Console, name: str, text: str) -> None:
    console.print(f"  {name:<12}{text}")
