"""A dispute, opened by its payer and followed with the commands of the page."""

import json
from dataclasses import dataclass, replace
from typing import Any

import httpx

from ledger.ids import DisputeId
from ledger.workflow_ids import dispute_workflow_id
from tests.api.people import Person
from tests.runbook.commands import Runbook
from tests.waiting import until


@dataclass(frozen=True)
class Case:
    """A dispute about a transfer of $80.00, and the pages in an operator's terminal."""

    runbook: Runbook
    operator: Person
    payer: Person
    payee: Person
    paid: str
    id: str

    @property
    def workflow_id(self) -> str:
        return dispute_workflow_id(DisputeId(self.id))

    async def read(self) -> dict[str, Any]:
        """The dispute as staff read it."""
        line = """curl -s "$API/v1/disputes/$DSP" -H "Authorization: Bearer $STAFF_TOKEN" | python3 -m json.tool"""
        return dict(json.loads(await self.runbook.run(line, DSP=self.id)))

    async def becomes(self, state: str) -> dict[str, Any]:
        """Wait until the dispute is in this state; return it as its payer reads it."""

        async def found() -> dict[str, Any]:
            return dict((await self.payer.get(f"/v1/disputes/{self.id}")).json())

        async def has_become() -> bool:
            return bool((await found())["state"] == state)

        await until(has_become, f"the dispute is {state}")
        return await found()

    async def details(self) -> str:
        """The metadata of the dispute's workflow in Temporal."""
        return await self.runbook.run("""temporal workflow metadata --workflow-id "dispute/$DSP\"""", DSP=self.id)

    async def details_say(self, words: str) -> str:
        """Wait until the current details contain this; return them."""

        async def say() -> bool:
            return words in await self.details()

        await until(say, f"the dispute's current details say: {words}")
        return await self.details()

    async def messages(self) -> list[tuple[str, str]]:
        """The messages about the dispute, as (account, occasion), oldest first."""
        line = (
            """curl -s "$API/v1/admin/transfers/trf_…" -H "Authorization: Bearer $STAFF_TOKEN" | python3 -m json.tool"""
        )
        messages = json.loads(await self.runbook.run(line, {"trf_…": self.paid}))["messages"]
        return [(each["account_id"], each["occasion"]) for each in messages if each["occasion"].startswith(self.id)]

    async def freeze(self) -> None:
        """Freeze the payee's account."""
        line = """act accounts/acc_…/freeze '{"reason": "ticket 4711"}'"""
        assert json.loads(await self.runbook.run(line, {"acc_…": self.payee.account_id}))["status"] == "frozen"

    async def unfreeze(self) -> None:
        line = """act accounts/acc_…/unfreeze '{"reason": "ticket 4711"}'"""
        assert json.loads(await self.runbook.run(line, {"acc_…": self.payee.account_id}))["status"] == "active"


async def opens(payer: Person, paid: str) -> httpx.Response:
    return await payer.post(f"/v1/transfers/{paid}/disputes", {"reason": "The goods never came"})


async def opened(
    runbook: Runbook, operator: Person, payer: Person, payee: Person, paid: str, http: httpx.AsyncClient | None = None
) -> Case:
    """Open a dispute as the payer, at the stack's API or at another one."""
    answer = await opens(replace(payer, http=http) if http else payer, paid)
    assert answer.status_code == 201, answer.text
    return Case(runbook, operator, payer, payee, paid, str(answer.json()["id"]))
