"""The rows of `transfer_status`: when each transfer reached each of its states."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING

import orjson
from sqlalchemy import Text, any_, bindparam, select
from sqlalchemy.dialects.postgresql import ARRAY

from database.paging import Place
from database.statements import Row, fetch
from events.event import Event
from events.in_turns import in_turns
from ledger.ids import TransferId
from ledger.transfers import State
from projections.postgres.read_model import DroppedEvents
from projections.postgres.tables import transfer_status
from projections.projection import ProjectionName
from projections.transfer_status import Reached, TransferStatus, changed_transfer, with_state

if TYPE_CHECKING:
    from database.connections import Connection

TRANSFERS_AT_ONCE = 500

_KNOWN = select(transfer_status.c.transfer_id, transfer_status.c.reached).where(
    transfer_status.c.slot == bindparam("slot"),
    transfer_status.c.transfer_id == any_(bindparam("transfer_ids", type_=ARRAY(Text))),
)

_WRITE = """
    INSERT INTO transfer_status
    SELECT * FROM jsonb_populate_recordset(NULL::transfer_status, $1::jsonb)
    ON CONFLICT (slot, transfer_id) DO UPDATE SET state = excluded.state, attempt = excluded.attempt,
        reached = excluded.reached
"""

_NEXT_TRANSFERS = """
    SELECT id, created_at FROM transfers
    WHERE created_at < $1 AND ($2::timestamptz IS NULL OR (created_at, id) > ($2, $3)) ORDER BY created_at, id LIMIT $4
"""

# A state and its event commit together, so what has no kept event is read from the books.
_WITHOUT_EVENT = """
    SELECT t.transfer_id, t.attempt, t.state, t.at FROM transfer_times t
    WHERE t.transfer_id = ANY ($1::text[]) AND NOT EXISTS (
        SELECT FROM outbox_events o
        WHERE o.subject = t.transfer_id AND o.position > $2 AND o.type LIKE 'transfer.%'
            AND o.data -> 'transfer' ->> 'state' = t.state
            AND (o.data -> 'transfer' ->> 'attempt')::smallint = t.attempt
    ) AND NOT EXISTS (
        SELECT FROM outbox_events o
        WHERE o.subject = t.transfer_id AND o.position IS NULL AND o.type LIKE 'transfer.%'
            AND o.data -> 'transfer' ->> 'state' = t.state
            AND (o.data -> 'transfer' ->> 'attempt')::smallint = t.attempt
    )
    ORDER BY t.transfer_id, t.attempt
"""

# In the order in which an attempt reaches them.
_ORDER = {state: place for place, state in enumerate(State)}


class TransferStatusModel:
    """Fulfils `ReadModel`."""

    name = ProjectionName.TRANSFER_STATUS

    async def fold(self, connection: "Connection", slot: int, events: Sequence[Event]) -> None:
        """Read the transfers whose state changed, and write them anew."""
        changes = [(changed, event) for event in events if (changed := changed_transfer(event)) is not None]
        if not changes:
            return
        rows = await fetch(connection, _KNOWN, slot=slot, transfer_ids=sorted({changed for changed, _ in changes}))
        statuses = {TransferId(row["transfer_id"]): status_of(row) for row in rows}
        async for several in in_turns(changes):
            for transfer_id, event in several:
                statuses[transfer_id] = with_state(statuses.get(transfer_id), event)
        await _write(connection, slot, statuses)

    async def take_from_books(
        self, connection: "Connection", slot: int, dropped: DroppedEvents, after: Place | None
    ) -> Place | None:
        """The states of the next transfers that no kept event has."""
        places = await connection.fetch(
            _NEXT_TRANSFERS, dropped.books_until, *(after or (None, None)), TRANSFERS_AT_ONCE
        )
        if not places:
            return None
        rows = await connection.fetch(_WITHOUT_EVENT, [row["id"] for row in places], dropped.starts_after)
        await _write(connection, slot, statuses_of(rows))
        return places[-1]["created_at"], places[-1]["id"]


def statuses_of(rows: Iterable[Row]) -> dict[TransferId, TransferStatus]:
    """Rows of `transfer_times`, in the order of transfers, as statuses."""
    return {
        transfer_id: TransferStatus(
            transfer_id,
            tuple(
                sorted(
                    (Reached(row["attempt"], State(row["state"]), row["at"]) for row in of_one),
                    key=lambda each: (each.attempt, _ORDER[each.state]),
                )
            ),
        )
        for transfer_id, of_one in groupby(rows, key=lambda row: TransferId(row["transfer_id"]))
    }


def status_of(row: Row) -> TransferStatus:
    """A row of `transfer_status`."""
    reached = (
        Reached(attempt, State(state), datetime.fromisoformat(at))
        for attempt, state, at in orjson.loads(row["reached"])
    )
    return TransferStatus(TransferId(row["transfer_id"]), tuple(reached))


async def _write(connection: "Connection", slot: int, statuses: Mapping[TransferId, TransferStatus]) -> None:
    if not statuses:
        return
    rows = [
        {
            "slot": slot,
            "transfer_id": status.transfer_id,
            "state": status.state,
            "attempt": status.attempt,
            "reached": [(each.attempt, each.state, each.at) for each in status.reached],
        }
        for status in statuses.values()
    ]
    await connection.execute(_WRITE, orjson.dumps(rows).decode())
