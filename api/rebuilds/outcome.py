"""Waits for the rebuild of one account, whose workflow may run in another process: the row says when it has ended."""

import asyncio
from time import monotonic

from api.http.problems import Problem
from ledger.ids import RebuildId
from staff.rebuilds.postgres import Rebuilds
from staff.rebuilds.rebuild import Rebuild, RebuildOutcome

# A request waits for so long. Most rebuilds of one account take some hundredths of a second.
WAIT_SECONDS = 20

# The pauses between two looks at the row grow from the first to the longest.
FIRST_PAUSE = 0.02
LONGEST_PAUSE = 0.5


async def completed_rebuild(rebuilds: Rebuilds, rebuild_id: RebuildId) -> Rebuild | None:
    """The rebuild once it is completed; None: it goes on. Raises the problem for which the account was left."""
    until, pause = monotonic() + WAIT_SECONDS, FIRST_PAUSE
    while True:
        found, counts = await rebuilds.find(rebuild_id)
        if not found.is_running:
            break
        if monotonic() >= until:
            return None
        await asyncio.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)
    if counts.left and not counts.rebuilt:
        (finding,) = (await rebuilds.findings(rebuild_id, 1)).items
        assert finding.outcome is RebuildOutcome.LEFT
        assert finding.code is not None
        raise Problem(finding.code, finding.detail)
    return found
