"""What a worker does for the trails as long as it runs: months ahead of time, seals, heads for outside, retention."""

import asyncio
import math
import time
from pathlib import Path
from typing import NoReturn

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
        try:
            await make_months(database)
            await seal_trails(database, signatures)
            if time.monotonic() >= exported_at + export_seconds:
                lines = lines_of(await newest_heads(database), signatures.public_key)
                for line in lines:
                    log.info("head of the audit trail", **line)
                append_heads(lines, folder)
                await drop_old_months(database, retention)
                exported_at = time.monotonic()
        except (Unavailable, OSError) as error:
            log.warning("the audit trail was not sealed or exported", error=" ".join(str(error).split()))
        await asyncio.sleep(seal_seconds)
