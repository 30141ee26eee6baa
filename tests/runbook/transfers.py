"""What an operator reads of one transfer, by commands of the pages."""

import re
from typing import Any

from tests.api.people import Person
from tests.runbook.commands import Runbook
from tests.waiting import until

EXAMPLE = "transfer/cus_…/rent-november"


async def described(runbook: Runbook, workflow_id: str) -> str:
    """The workflow's summary, search attributes and pending activities."""
    return await runbook.run(
        "temporal workflow describe --workflow-id 'transfer/cus_…/rent-november'", {EXAMPLE: workflow_id}
    )


async def details(runbook: Runbook, workflow_id: str) -> str:
    """The current details of the workflow."""
    printed = await runbook.run(
        "temporal workflow metadata --workflow-id 'transfer/cus_…/rent-november'     # current details; needs a worker",
        {EXAMPLE: workflow_id},
    )
    return printed.partition("Current Details:")[2].strip()


async def events(runbook: Runbook, workflow_id: str) -> list[str]:
    """The types of the events of the workflow."""
    printed = await runbook.run(
        "temporal workflow show     --workflow-id 'transfer/cus_…/rent-november'     # events", {EXAMPLE: workflow_id}
    )
    return re.findall(r"^ +\d+ +\S+Z +(\w+)", printed, re.MULTILINE)


async def is_pending(runbook: Runbook, workflow_id: str, step: str) -> None:
    """Wait until the step is in doubt: a pending activity."""

    async def is_listed() -> bool:
        return bool(re.search(rf"Type +{step}\n", await described(runbook, workflow_id)))

    await until(is_listed, f"{step} is in doubt")


async def ends_as(runbook: Runbook, workflow_id: str, status: str) -> None:
    """Wait until the workflow has this status."""

    async def has_ended() -> bool:
        return bool(re.search(rf"Status +{status}\n", await described(runbook, workflow_id)))

    await until(has_ended, f"the workflow is {status}")


async def file_of(staff: Person, transfer_id: str) -> dict[str, Any]:
    """The transfer as `GET /v1/admin/transfers/{id}` returns it."""
    answer = await staff.get(f"/v1/admin/transfers/{transfer_id}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def legs(staff: Person, transfer_id: str) -> list[str]:
    """The legs of its postings, oldest first."""
    return [posting["leg"] for posting in (await file_of(staff, transfer_id))["postings"]]


async def written_down(runbook: Runbook, transfer_id: str) -> list[list[str]]:
    """Of each decision the decider, the ruling and the reason; of each instruction the action, the actor and the reason."""
    printed = await runbook.run(
        """psql "$REMIT_DATABASE_URL" -c "SELECT decider, ruling, reason, decided_at FROM review_decisions WHERE transfer_id = 'trf_…'" \\
  -c "SELECT action, actor, reason, state, recorded_at FROM instructions WHERE transfer_id = 'trf_…'\"""",
        {"trf_…": transfer_id},
    )
    rows = [line.split("|") for line in printed.splitlines() if "ticket 4711" in line]
    return [[cell.strip() for cell in row[:3]] for row in rows]
