"""Where histories are recorded: a worker, its ledger and people, and the list of paths that are told on it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from temporalio.client import WorkflowHandle

from customers.postgres import Customers
from disputes.postgres.disputes import Disputes
from ledger.ids import CustomerId
from ledger.postgres.transfer_reads import TransferReads
from ledger.transfers import State, TransferOrder
from tests.orders import ENCRYPTION, Holder, funded, holder, order, staff
from tests.waiting import until
from tests.workflows.sagas import Handle, Hold, Sagas, line_breaks

RecordedAction = WorkflowHandle[Any, Any]
Told = Callable[["Stage"], Awaitable[RecordedAction]]


@dataclass(frozen=True)
class Path:
    """Runs one path of a workflow, to its end or nearly, and answers with the workflow. `settings` are its worker's."""

    tell: Told
    settings: Mapping[str, object]


# By name, which is that of the recording.
PATHS: dict[str, Path] = {}


def path(**settings: object) -> Callable[[Told], Told]:
    """Put what is told here on the list."""

    def known(tell: Told) -> Told:
        assert tell.__name__ not in PATHS, f"{tell.__name__} is told twice"
        PATHS[tell.__name__] = Path(tell, settings)
        return tell

    return known


@dataclass(frozen=True)
class Stage:
    """Ada has 5,000.00 and pays ben, who has nothing; olu and pia are staff."""

    saga: Sagas
    ada: Holder
    ben: Holder
    olu: CustomerId
    pia: CustomerId

    @classmethod
    async def of(cls, saga: Sagas) -> "Stage":
        database = saga.book.database
        customers = Customers(database, encryption=ENCRYPTION)
        ada, ben = await funded(customers, saga.book, 500_000), await holder(customers)
        return cls(saga, ada, ben, await staff(database), await staff(database))

    @property
    def customers(self) -> Customers:
        return Customers(self.saga.book.database, encryption=ENCRYPTION)

    @property
    def disputes(self) -> Disputes:
        return Disputes(self.saga.book.database)

    def order(self, amount_minor: int) -> TransferOrder:
        return order(self.ada.id, self.ada.account_id, self.ben.account_id, amount_minor)

    async def start(self, amount_minor: int) -> Handle:
        return await self.saga.start(self.order(amount_minor))

    async def held_at(self, step: str, wanted: TransferOrder) -> tuple[Handle, Hold]:
        """A transfer whose step has no answer yet, on its second attempt."""
        hold = Hold()
        self.saga.book.before[step] += [line_breaks, hold]
        handle = await self.saga.start(wanted)
        await hold.reached.wait()
        return handle, hold

    async def is_now(self, wanted: TransferOrder, state: State) -> None:
        transfer_reads = TransferReads(self.saga.book.database)

        async def reached() -> bool:
            transfer = await transfer_reads.visible(wanted.owner_id, wanted.transfer_id)
            return transfer is not None and transfer.state is state

        await until(reached, f"the transfer is {state}")
