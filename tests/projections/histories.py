"""Random histories of transfers, and what the books say of them where a projection says it, too."""

from dataclasses import dataclass
from random import Random

from customers.postgres import Customers
from database.connections import Database
from events.postgres.sequencer import number_all
from events.postgres.stream import EventStream
from ledger.accounts import AccountStatistics
from ledger.ids import WORLD, AccountId, CustomerId, TransferId
from ledger.postgres.account_reads import AccountReads
from ledger.postgres.book import Book
from ledger.refusals import LedgerConflict, Refusal
from ledger.transfers import MAX_ATTEMPTS, Ending, Failure, State, Step, TransferOrder
from projections.postgres.projection_sink import ProjectionSink
from projections.postgres.reads import ProjectionReads
from projections.postgres.transfer_rows import statuses_of
from projections.transfer_status import TransferStatus
from tests.orders import funded, later_attempt, order, reversal

FAILURE = Failure("account_frozen", "A sentence for people.", "destination")


@dataclass
class History:
    """Transfers between three people, of every kind, each taken some steps further by chance."""

    chance: Random
    database: Database
    book: Book
    owners: dict[AccountId, CustomerId]
    open: list[tuple[TransferOrder, State]]
    ended: list[tuple[TransferOrder, State]]

    @classmethod
    async def of(cls, seed: int, database: Database, customers: Customers, book: Book) -> "History":
        people = [await funded(customers, book, 10_000) for _ in range(3)]
        return cls(Random(seed), database, book, {each.account_id: each.id for each in people}, [], [])

    async def go_on(self, steps: int) -> None:
        for _ in range(steps):
            try:
                await self._step()
            except (Refusal, LedgerConflict):
                continue

    async def _step(self) -> None:
        chance = self.chance
        if self.open and chance.random() < 0.7:
            wanted, state = self.open.pop(chance.randrange(len(self.open)))
            after = await self._move(wanted, state)
            (self.ended if after.is_final else self.open).append((wanted, after))
            return
        again = [each for each in self.ended if each[1] in (State.FAILED, State.COMPENSATED)]
        paid = [each for each in self.ended if each[1] is State.COMPLETED and each[0].kind == "transfer"]
        if again and chance.random() < 0.4:
            wanted, state = chance.choice(again)
            if wanted.attempt < MAX_ATTEMPTS:
                self.ended.remove((wanted, state))
                await self._open(later_attempt(wanted, wanted.attempt + 1))
        elif paid and chance.random() < 0.2:
            original, _ = chance.choice(paid)
            await self._open(reversal(original, self.owners[original.destination_account_id], 1))
        else:
            source, destination = chance.sample([WORLD, *self.owners], 2)
            owner = self.owners[destination if source == WORLD else source]
            await self._open(order(owner, source, destination, chance.randint(1, 500)))

    async def _open(self, wanted: TransferOrder) -> None:
        opened = await self.book.open_transfer(wanted)
        self.open.append((wanted, opened.standing.state))

    async def _move(self, wanted: TransferOrder, state: State) -> State:
        step, goes_well = Step(wanted.transfer_id, wanted.attempt), self.chance.random() < 0.75
        if state is State.DEBITED:
            moved = await (self.book.credit(step) if goes_well else self.book.refund(Ending(step, FAILURE)))
        elif goes_well:
            moved = await self.book.debit(step)
        else:
            moved = await self.book.end(Ending(step, FAILURE), State.FAILED)
        return moved.state


@dataclass(frozen=True)
class Rows:
    """What a projection holds, or what the books say instead of it."""

    stats: dict[str, AccountStatistics]
    statuses: dict[str, TransferStatus]


async def told_by_books(database: Database) -> Rows:
    async with database.connection() as connection:
        accounts = [row["id"] for row in await connection.fetch("SELECT id FROM accounts WHERE version > 0")]
        times = await connection.fetch("SELECT * FROM transfer_times ORDER BY transfer_id")
    reads = AccountReads(database)
    statuses: dict[str, TransferStatus] = {str(key): each for key, each in statuses_of(times).items()}
    return Rows({each: await reads.statistics(each) for each in accounts}, statuses)


async def projected(database: Database) -> Rows:
    """What the shown generations hold."""
    reads = ProjectionReads(database)
    async with database.connection() as connection:
        accounts = await connection.fetch("SELECT DISTINCT account_id FROM account_stats")
        transfers = await connection.fetch("SELECT DISTINCT transfer_id FROM transfer_status")
    stats = {row["account_id"]: (await reads.stats(row["account_id"])).figures for row in accounts}
    found = [(await reads.status(TransferId(row["transfer_id"]))).status for row in transfers]
    return Rows(stats, {status.transfer_id: status for status in found if status is not None})


async def follow(database: Database, sink: ProjectionSink, most: int = 500) -> int:
    """Apply what follows, in batches of at most `most`, as the runner of sinks does. The position afterwards."""
    assert await number_all(database)
    position = (await ProjectionReads(database).find(sink.name)).position
    while events := await EventStream(database).after(position, most):
        async with database.transaction() as connection:
            await sink.apply(connection, events)
        position = events[-1].position
    return position
