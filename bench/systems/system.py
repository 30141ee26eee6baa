"""What every system under test provides: named ways to make a transfer. Its HTTP route uses the first one."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

from ledger.fingerprints import Fingerprints
from ledger.transfers import TransferOrder

# The same for every system: as many as one process of Remit uses.
DATABASE_CONNECTIONS = 20

Transfer = Callable[[TransferOrder], Awaitable[str]]
"""Makes a transfer and returns its final state. Raises if it fails."""


@dataclass(frozen=True, slots=True)
class Setting:
    """Where a system finds its servers and the accounts of the run."""

    port: int
    database_url: str
    temporal_address: str
    population: Path
    fingerprint_key: str

    @property
    def fingerprints(self) -> Fingerprints:
        """What makes and checks the fingerprints of the system's orders, as the API and its worker do."""
        return Fingerprints([self.fingerprint_key])


System = Callable[[Setting], AbstractAsyncContextManager[Mapping[str, Transfer]]]
