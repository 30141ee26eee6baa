"""Batches that have not ended, for those who look whether they progress. Reads a partial index of what is open."""

from collections.abc import Sequence
from dataclasses import dataclass

from batches.batch import BatchState
from database.connections import Database
from database.rows import dataclass_of
from ledger.ids import BatchId

# A chunk takes less than a second, and starting workflows for the items of a whole batch some minutes.
STALLED_SECONDS = 300

_COUNT = """
    SELECT count(*) FILTER (WHERE state <> 'held') AS under_way, count(*) FILTER (WHERE state = 'held') AS held,
        coalesce(greatest(0, extract(epoch FROM clock_timestamp() - min(created_at))), 0)::bigint AS oldest_seconds
    FROM batches WHERE state IN ('accepted', 'in_progress', 'held')
"""
_STALLED = """
    SELECT id, state, posted, total, extract(epoch FROM clock_timestamp() - updated_at)::bigint AS seconds
    FROM batches
    WHERE state IN ('accepted', 'in_progress') AND updated_at < clock_timestamp() - make_interval(secs => $1)
    ORDER BY updated_at LIMIT $2
"""


@dataclass(frozen=True, slots=True)
class StalledBatch:
    """A batch that has posted nothing for long although it waits for no person."""

    id: BatchId
    state: BatchState
    posted: int
    total: int
    seconds: int


@dataclass(frozen=True, slots=True)
class OpenBatches:
    """How many batches have not ended; `held` ones wait for a person. `oldest_seconds` since the first was accepted."""

    under_way: int
    held: int
    oldest_seconds: int
    stalled: Sequence[StalledBatch] = ()


NO_BATCHES = OpenBatches(0, 0, 0)


async def open_batches(database: Database, at_most: int) -> OpenBatches:
    """Those of now, with at most so many stalled ones. Raises `Unavailable` where PostgreSQL gave no answer."""
    async with database.connection() as connection:
        row = await connection.fetchrow(_COUNT)
        assert row is not None, "an aggregate always has a row"
        stalled = await connection.fetch(_STALLED, STALLED_SECONDS, at_most)
    return dataclass_of(OpenBatches, row, stalled=[dataclass_of(StalledBatch, each) for each in stalled])
