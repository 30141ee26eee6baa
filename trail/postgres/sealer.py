"""What a worker does for the trails as long as it runs: months ahead of time, seals, heads for outside, retention."""

import asyncio
import math
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import NoReturn

import asyncpg
import structlog

from database.connections import Database, Unavailable
from database.trail.signatures import Signatures
from trail.exports import append_heads, lines_of
from trail.postgres.months import Retention, drop_old_months, make_months
from trail.postgres.seals import newest_heads, seal_trails

log = structlog.get_logger()


async def keep_trail(
    database: Database,
    signatures: Signatures,
    folder: Path | None,
    retention: Retention,
    *,
    seal_seconds: int,
    export_seconds: int,
) -> NoReturn:
    """Seal and export for ever. Every worker may: one seals at a time, and what one leaves the next one seals."""
    exported_at = -math.inf
    while True:
        # Each part goes on without the others: who reads the partitions may keep `make_months` from its lock for hours.
        await _try("sealing", seal_trails(database, signatures))
        await _try("making the next months", make_months(database))
        if time.monotonic() >= exported_at + export_seconds:
            if await _try("exporting", _export(database, signatures, folder)):
                exported_at = time.monotonic()
            await _try("dropping old months", drop_old_months(database, retention))
        await asyncio.sleep(seal_seconds)


async def _export(database: Database, signatures: Signatures, folder: Path | None) -> None:
    lines = lines_of(await newest_heads(database), signatures.public_key)
    for line in lines:
        log.info("head of the audit trail", **line)
    append_heads(lines, folder)


async def _try(what: str, part: Coroutine[None, None, None]) -> bool:
    try:
        await part
    except (Unavailable, asyncpg.PostgresError, OSError) as error:
        log.warning("the audit trail has to wait", part=what, error=" ".join(str(error).split()))
        return False
    return True
