"""What an operator reads of one transfer, by commands of the pages, and one that is in transit."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from devenv.stack import Running
from tests.api.people import Person
from tests.runbook.commands import Runbook
from tests.runbook.row_locks import account_held
from tests.waiting import until

EXAMPLE = "transfer/cus_…/rent-november"

# An amount that one person reviews.
REVIEWED = 150_00


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


async def recorded_actions(runbook: Runbook, transfer_id: str) -> list[list[str]]:
    """Of each action on record about the transfer: who, the ruling or else the action, and the reason."""
    printed = await runbook.run(
        """psql "$REMIT_OPERATOR_DATABASE_URL" -c "SELECT channel, actor_id, action, asked, reason FROM staff_actions WHERE subject = 'trf_…' ORDER BY recorded_at\"""",
        {"trf_…": transfer_id},
    )
    rows = [[cell.strip() for cell in line.split("|")] for line in printed.splitlines() if "ticket 4711" in line]
    return [
        [actor, json.loads(asked)["ruling"] if asked else action, reason] for _, actor, action, asked, reason in rows
    ]


async def transfer(person: Person, transfer_id: str) -> dict[str, Any]:
    """The transfer as its customer reads it."""
    return dict((await person.get(f"/v1/transfers/{transfer_id}")).json())


@asynccontextmanager
async def in_transit(stack: Running, payer: Person, payee: Person) -> AsyncIterator[dict[str, Any]]:
    """A transfer whose amount has left the payer and cannot reach the payee while the block lasts."""
    async with account_held(stack.database_url, payee.account_id):
        before = await payer.balance()
        sent = (await payer.pay(payee, 90_00, prefer="wait=0")).json()

        async def has_left() -> bool:
            return await payer.balance() == before - 90_00

        await until(has_left, "the amount is in transit")
        yield sent
