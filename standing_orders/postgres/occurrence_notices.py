"""Notices to the owners of standing orders, written with what became of their dates."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from notifications.postgres import write_notices
from standing_orders.occurrence import Occurrence, notice_of

if TYPE_CHECKING:
    from database.connections import Connection

_OWNERS = "SELECT id, owner_id, source_account_id FROM standing_orders WHERE id = ANY ($1::text[])"


async def write_occurrence_notices(connection: "Connection", became: Iterable[Occurrence]) -> None:
    """Tell the owners about those that were missed or refused. A repeat with the same states tells nothing twice."""
    notices = [
        (each.order_id, f"{each.order_id}/{each.date}/{each.state}", text)
        for each in became
        if (text := notice_of(each)) is not None
    ]
    if not notices:
        return
    rows = await connection.fetch(_OWNERS, [order_id for order_id, _, _ in notices])
    owners = {row["id"]: (row["owner_id"], row["source_account_id"]) for row in rows}
    await write_notices(connection, [(*owners[order_id], occasion, text) for order_id, occasion, text in notices])
