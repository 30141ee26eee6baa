"""What every system under test offers: ways to make a transfer, by name. The first is the one behind HTTP."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

from ledger.transfers import TransferOrder

# The same for every system: what one process of Remit has.
DATABASE_CONNECTIONS = 20

Transfer = Callable[[TransferOrder], Awaitable[str]]
"""Makes a transfer and answers with its final state. Raises what went wrong."""


@dataclass(frozen=True, slots=True)
class Setting:
    """Where a system finds its servers and the accounts of the run."""

    port: int
    database_url: str
    temporal_address: str
    population: Path


System = Callable[[Setting], AbstractAsyncContextManager[Mapping[str, Transfer]]]
