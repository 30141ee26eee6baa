"""What events have come to at two receivers: a webhook endpoint that leaves out what it has, and a projection."""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass

import asyncpg

from tests.waiting import until
from tests.webhooks.receiver import Receiver

_COMPLETED = """
    SELECT event_id FROM outbox_events
    WHERE type = 'transfer.completed' AND position IS NOT NULL AND $1 = ANY (audience)
"""

# Accounts whose projected balance is not that of the books.
_WRONG = """
    SELECT count(*) FROM accounts a CROSS JOIN projections p
    LEFT JOIN account_stats s ON s.slot = p.generation % 2 AND s.account_id = a.id
    WHERE p.name = 'account_stats' AND coalesce(s.balance_minor, 0) <> a.balance_minor
        AND EXISTS (SELECT FROM customers c WHERE c.id = a.owner_id)
"""


@dataclass(frozen=True)
class Effects:
    """Events that arrived, each counted once by its id. All else must be nothing, but for repeats.

    `doubled`: one fact under two ids. `inversions`: an event that first came behind a later one of its account.
    """

    arrived: int
    repeats: int
    lost: int
    doubled: int
    inversions: int
    wrong_figures: int


async def completed_events(url: str, customer_id: str) -> set[str]:
    """The ids of completed transfers' events that this customer may see."""
    connection = await asyncpg.connect(url)
    try:
        return {row["event_id"] for row in await connection.fetch(_COMPLETED, customer_id)}
    finally:
        await connection.close()


async def effects_at(
    receiver: Receiver, url: str, customer_id: str, before: Collection[str], seconds: float = 60
) -> Effects:
    """The effects, once nothing is wrong with them, or else when the time is over. `before` it was no endpoint."""
    connection = await asyncpg.connect(url)
    found: list[Effects] = []

    async def nothing_is() -> bool:
        wanted = await completed_events(url, customer_id) - set(before)
        first = {one.id: one.body for one in reversed(receiver.received)}
        order = list(dict.fromkeys(one.id for one in receiver.received))
        facts = {(first[each]["subject"], first[each]["data"]["transfer"]["attempt"]) for each in order}
        latest: dict[str, int] = {}
        inversions = 0
        for each in order:
            key, position = first[each]["partitionkey"], int(first[each]["sequence"])
            inversions += position < latest.get(key, 0)
            latest[key] = max(position, latest.get(key, 0))
        found.append(
            Effects(
                arrived=len(order),
                repeats=len(receiver.received) - len(order),
                lost=len(wanted - set(order)),
                doubled=len(order) - len(facts),
                inversions=inversions,
                wrong_figures=await connection.fetchval(_WRONG),
            )
        )
        last = found[-1]
        return (last.lost, last.wrong_figures) == (0, 0)

    with suppress(AssertionError):
        await until(nothing_is, "every event has had its effect", seconds)
    await connection.close()
    return found[-1]
