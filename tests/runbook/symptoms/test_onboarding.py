"""The page on customers who wait for their verification."""

import json
import re
from typing import Any

import httpx

from customers.documents.sandbox import DOWN_NUMBER, REVIEW_NUMBER
from tests.api.people import Person, register
from tests.runbook.commands import Runbook
from tests.waiting import until


async def waiting(http: httpx.AsyncClient, number: str) -> tuple[Person, str]:
    """A customer whose document the verifier does not decide, and the document."""
    person = await register(http, identity_document={"type": "NIN", "number": number})
    (document,) = (await person.get("/v1/customers/me/documents")).json()["items"]
    return person, str(document["id"])


async def listed(runbook: Runbook, state: str) -> list[str]:
    line = {
        "in_review": """curl -s "$API/v1/admin/documents?state=in_review" -H "Authorization: Bearer $STAFF_TOKEN\"""",
        "pending": """curl -s "$API/v1/admin/documents?state=pending" -H "Authorization: Bearer $STAFF_TOKEN\"""",
    }[state]
    return [one["id"] for one in json.loads(await runbook.run(line))["items"]]


async def decided(runbook: Runbook, document: str, decision: str) -> dict[str, Any]:
    line = {
        "verify": """act documents/$DOC/decisions '{"decision": "verify", "reason": "ticket 4711"}'""",
        "reject": """act documents/$DOC/decisions '{"decision": "reject", "code": "name_mismatch", "reason": "ticket 4711"}'""",
    }[decision]
    return dict(json.loads(await runbook.run(line, DOC=document)))


async def verification(person: Person) -> dict[str, Any]:
    return dict((await person.get("/v1/auth/me")).json()["verification"])


async def has_ended(runbook: Runbook, customer_id: str) -> None:
    line = """temporal workflow list --query "WorkflowType='OnboardingWorkflow' AND ExecutionStatus='Running'\""""

    async def is_listed_no_more() -> bool:
        return customer_id not in await runbook.run(line)

    await until(is_listed_no_more, "its workflow has ended")


async def test_a_document_that_waits_for_a_person_is_listed_and_decided_once(
    http: httpx.AsyncClient, runbook: Runbook
) -> None:
    (ada, hers), (ben, his) = [await waiting(http, REVIEW_NUMBER) for _ in range(2)]
    assert {hers, his} <= set(await listed(runbook, "in_review"))
    assert (await decided(runbook, hers, "verify"))["state"] == "verified"
    assert (await decided(runbook, his, "reject"))["state"] == "rejected"
    assert (await verification(ada))["state"] == "verified"
    found = await verification(ben)
    assert (found["state"], found["code"]) == ("rejected", "name_mismatch")
    assert (await decided(runbook, hers, "reject"))["code"] == "document_decided"
    for person in (ada, ben):
        await has_ended(runbook, person.id)


async def test_a_document_whose_verifier_does_not_answer_says_why_and_is_decided_by_hand(
    http: httpx.AsyncClient, runbook: Runbook
) -> None:
    ada, document = await waiting(http, DOWN_NUMBER)
    assert document in await listed(runbook, "pending")

    async def is_pending() -> bool:
        printed = await runbook.run("temporal workflow describe --workflow-id 'onboarding/cus_…'", {"cus_…": ada.id})
        return bool(re.search(r"Type +verify_document\n", printed)) and "The verifier does not answer" in printed

    await until(is_pending, "the step tells its last failure")
    gauge = re.search(r'remit_documents_undecided{state="pending"} (\S+)', (await http.get("/metrics")).text)
    assert gauge is not None
    assert (await decided(runbook, document, "verify"))["state"] == "verified"
    assert (await verification(ada))["state"] == "verified"
    await has_ended(runbook, ada.id)
