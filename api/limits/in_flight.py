"""How many transfers of one customer may be under way at once."""

from dataclasses import dataclass, field

from api.http.problems import Problem
from ledger.ids import CustomerId
from ledger.postgres.transfer_reads import TransferReads

RETRY_AFTER_SECONDS = 5

# Customers whose counts a process remembers. Who is forgotten is counted anew.
MOST_REMEMBERED = 10_000


@dataclass
class TransfersInFlight:
    """Refuses new transfers of a customer who has too many that have not ended.

    They are counted only when those that this process has accepted since the last count could make the limit, so a
    plain transfer costs no query.
    The limit is kept by each process: n processes let through at most n times as many.
    """

    reads: TransferReads
    most: int | None
    _known: dict[CustomerId, int] = field(default_factory=dict)

    async def objection(self, owner_id: CustomerId) -> Problem | None:
        """Count one more; where the limit is used up, the problem `too_many_in_flight` instead."""
        if self.most is None:
            return None
        known = self._known.pop(owner_id, 0)
        if known >= self.most:
            known = await self.reads.in_flight(owner_id, self.most)
        if known >= self.most:
            self._known[owner_id] = known
            return Problem("too_many_in_flight", headers={"Retry-After": str(RETRY_AFTER_SECONDS)})
        self._known[owner_id] = known + 1
        if len(self._known) > MOST_REMEMBERED:
            del self._known[next(iter(self._known))]
        return None
