"""What `remit status` says of batches, standing orders and statements."""

from collections.abc import Iterator
from dataclasses import dataclass
from shlex import quote

from batches.postgres.open_batches import NO_BATCHES, OpenBatches, open_batches
from cli.overview.figures import counted, duration
from database.connections import Database
from ledger.workflow_ids import batch_workflow_id, statement_workflow_id
from standing_orders.postgres.late import NOTHING_LATE, LatePayments, late_payments
from statements.postgres.unfinished import ALL_FINISHED, UnfinishedStatements, unfinished_statements

Line = tuple[str, str]


@dataclass(frozen=True, slots=True)
class LongWork:
    """What is under way for more than a moment although it waits for no single transfer."""

    batches: OpenBatches = NO_BATCHES
    late: LatePayments = NOTHING_LATE
    statements: UnfinishedStatements = ALL_FINISHED

    @property
    def needs_somebody(self) -> bool:
        """Whether some of it does not progress by itself."""
        return bool(self.batches.stalled or self.late.payments or self.statements.overdue)

    def summary(self) -> Iterator[Line]:
        """A line for each kind of work: a name and a text."""
        yield "Batches", self._batches()
        yield "Standing", self._standing()
        if self.late.payments:
            yield "", "[cyan]temporal schedule describe --schedule-id standing-orders[/]"
        yield "Statements", self._statements()

    def details(self) -> Iterator[tuple[str, list[Line]]]:
        """What does not progress: a title, and what to look at or to do."""
        for batch in self.batches.stalled:
            where = f"{batch.posted:,} of {batch.total:,} items are posted, none for {duration(batch.seconds)}"
            yield (
                f"[red]{batch.id}[/] batch, {batch.state.replace('_', ' ')}: {where}",
                _next_commands(batch_workflow_id(batch.id), "recovery"),
            )
        for statement in self.statements.overdue:
            where = f"{statement.summed:,} of {statement.lines:,} lines are added up in {duration(statement.seconds)}"
            title = f"[red]{statement.account_id}[/] statement {statement.number}: {where}"
            yield title, _next_commands(statement_workflow_id(statement.account_id, statement.number), "statements")

    def _batches(self) -> str:
        found = self.batches
        held = f"{found.held:,} held for a decision" if found.held else ""
        under_way = f"{counted(found.under_way, 'batch')} under way" if found.under_way else ""
        if not held and not under_way:
            return "nothing"
        stalled = f", [red]{len(found.stalled):,} without progress[/]" if found.stalled else ""
        both = ", ".join(filter(None, (under_way, held)))
        return f"{both}{stalled}, the first for {duration(found.oldest_seconds)}"

    def _standing(self) -> str:
        parts = []
        if self.late.payments:
            late = f"[red]{counted(self.late.payments, 'payment')} late[/]"
            parts.append(f"{late}, the first for {duration(self.late.oldest_seconds)}")
        if self.late.missed:
            outage = f", {self.late.missed_by_outage:,} of them by an outage" if self.late.missed_by_outage else ""
            parts.append(f"{counted(self.late.missed, 'payment')} missed within a day{outage}")
        return "; ".join(parts) or "nothing is late"

    def _statements(self) -> str:
        found = self.statements
        if not found.statements:
            return "all are added up"
        overdue = f", [red]{len(found.overdue):,} without an end[/]" if found.overdue else ""
        many = counted(found.statements, "statement")
        return f"{many} being added up{overdue}, the first for {duration(found.oldest_seconds)}"


def _next_commands(workflow_id: str, schedule: str) -> list[Line]:
    return [
        ("look at", f"[cyan]temporal workflow describe --workflow-id {quote(workflow_id)}[/]"),
        ("start again", f"[cyan]temporal schedule trigger --schedule-id {schedule}[/]"),
    ]


async def long_work(database: Database, at_most: int) -> LongWork:
    """That of now, with at most so many of each kind named. Raises `Unavailable` where PostgreSQL gave no answer."""
    return LongWork(
        await open_batches(database, at_most),
        await late_payments(database),
        await unfinished_statements(database, at_most),
    )
