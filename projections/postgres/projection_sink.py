"""A projection as a sink: its rows and its position are written in one transaction.

The position is that of the shown generation, in `projections`, and the sink's own moves with it. A rebuild may have
come further than the sink: what is applied already is left out. Any other place is a gap, and nothing passes it.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from events.event import Event
from projections.postgres.account_rows import AccountStatsModel
from projections.postgres.read_model import ReadModel
from projections.postgres.tables import SLOTS
from projections.postgres.transfer_rows import TransferStatusModel
from projections.projection import OutOfOrder

if TYPE_CHECKING:
    from database.connections import Connection

READ_MODELS: tuple[ReadModel, ...] = (AccountStatsModel(), TransferStatusModel())

# Nobody is told that it is applied, so nobody waits for the disk: after a crash rows and positions are older together.
_SHOWN = """
    SELECT generation, position, set_config('synchronous_commit', 'off', true) FROM projections WHERE name = $1
    FOR NO KEY UPDATE
"""
_APPLIED = "UPDATE projections SET position = $2, applied_at = clock_timestamp() WHERE name = $1"


class ProjectionSink:
    """Keeps the shown generation of a projection. A `Projection` of `events/sink.py`."""

    # Who reads a projection knows that it may lag, and fewer transactions leave more of the machine to transfers.
    pause_milliseconds = 1_000
    rests_for = 4
    most_at_once = 1_000

    def __init__(self, model: ReadModel) -> None:
        self.model = model

    @property
    def name(self) -> str:
        """That of the projection."""
        return self.model.name

    async def apply(self, connection: "Connection", events: Sequence[Event]) -> None:
        """Fold these events into the rows. Those that are applied already change nothing.

        Raises `OutOfOrder` where an event is missing, or does not follow from the rows.
        """
        shown = await connection.fetchrow(_SHOWN, self.model.name)
        assert shown is not None, "a migration has written it"
        new = [event for event in events if event.position > shown["position"]]
        if not new:
            return
        if shown["generation"]:
            await fold_next(connection, self.model, shown["generation"], shown["position"], new)
        await connection.execute(_APPLIED, self.model.name, new[-1].position)


async def fold_next(
    connection: "Connection", model: ReadModel, generation: int, position: int, events: Sequence[Event]
) -> None:
    """Fold the events behind this position into the rows of a generation. Raises `OutOfOrder` where one is missing."""
    for expected, event in enumerate(events, position + 1):
        if event.position != expected:
            raise OutOfOrder(f"event {expected} is missing: the next one is {event.position}")
    await model.fold(connection, generation % SLOTS, events)


def projection_sinks() -> list[ProjectionSink]:
    """A sink for each projection that Remit keeps."""
    return [ProjectionSink(model) for model in READ_MODELS]
