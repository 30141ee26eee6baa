"""The page on batches: one that stands still, one to stop, one that is held, and items that were refused."""

import json
import secrets
from typing import Any

from devenv.stack import Running
from tests.api.people import Person
from tests.runbook.commands import Runbook
from tests.runbook.conftest import REVIEW_FROM
from tests.runbook.row_locks import account_held
from tests.waiting import until

READ = """curl -s "$API/v1/admin/batches/bat_…" -H "Authorization: Bearer $STAFF_TOKEN" | python3 -m json.tool"""
DESCRIBE = "temporal workflow describe --workflow-id 'batch/bat_…'"
RECOVER = "temporal schedule trigger --schedule-id recovery"
STOP = """act batches/bat_…/cancel '{"reason": "Wrong file, ticket 4711"}'"""
STOP_IN_TEMPORAL = "temporal workflow cancel --workflow-id 'batch/bat_…'"
HELD = """curl -s "$API/v1/admin/batches?state=held" -H "Authorization: Bearer $STAFF_TOKEN" | python3 -m json.tool"""
APPROVE = """act batches/bat_…/decisions '{"ruling": "approve", "reason": "Spoke to the payer, ticket 4711"}'"""
REJECT = """act batches/bat_…/decisions '{"ruling": "reject", "reason": "Nobody knows the payees, ticket 4711"}'"""
REFUSED = """psql "$REMIT_OPERATOR_DATABASE_URL" -c "SELECT coalesce(i.failure_code, t.failure_code) AS code, count(*) AS items,
  min(i.line) AS first_line FROM batch_items i LEFT JOIN transfers t ON t.id = i.transfer_id
  WHERE i.batch_id = 'bat_…' AND (i.failure_code IS NOT NULL OR t.state = 'failed') GROUP BY 1 ORDER BY 2 DESC" """.strip()
ITEMS = """curl -s "$API/v1/admin/batches/bat_…/items?limit=50" -H "Authorization: Bearer $STAFF_TOKEN" | python3 -m json.tool"""

REVIEWED = REVIEW_FROM * 100


async def sent(payer: Person, payee: Person, *amounts: int, mode: str = "best_effort") -> str:
    """The id of a batch with items of these amounts."""
    items = [
        {
            "reference": f"salary-{secrets.token_hex(6)}",
            "source_account_id": payer.account_id,
            "destination_account_id": payee.account_id,
            "amount": amount,
            "currency": "USD",
        }
        for amount in amounts
    ]
    answer = await payer.post("/v1/batches", {"mode": mode, "items": items})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


async def read(runbook: Runbook, batch_id: str) -> dict[str, Any]:
    return dict(json.loads(await runbook.run(READ, {"bat_…": batch_id})))


async def reaches(runbook: Runbook, batch_id: str, state: str) -> dict[str, Any]:
    async def is_there() -> bool:
        return bool((await read(runbook, batch_id))["state"] == state)

    await until(is_there, f"the batch is {state}")
    return await read(runbook, batch_id)


async def test_a_batch_behind_a_held_account_says_why_it_waits_and_goes_on_by_itself_or_by_recovery(
    stack: Running, runbook: Runbook, payer: Person, payee: Person
) -> None:
    async with account_held(stack.database_url, payee.account_id):
        batch_id = await sent(payer, payee, 1_00, 2_00)

        async def says_why() -> bool:
            told = await runbook.run(DESCRIBE, {"bat_…": batch_id})
            return "post_batch" in told and "LockNotAvailable" in told

        await until(says_why, "the pending step names the lock")
        assert (await read(runbook, batch_id))["posted"] == 0
        terminate = """temporal workflow terminate --workflow-id "$ID" --reason 'ticket 4711'"""
        await runbook.run(terminate, ID=f"batch/{batch_id}")

    async def is_found() -> bool:
        await runbook.run(RECOVER)
        return bool((await read(runbook, batch_id))["state"] == "completed")

    await until(is_found, "recovery starts the terminated batch, which goes on")
    assert (await read(runbook, batch_id))["counts"]["completed"] == 2


async def test_a_batch_is_stopped_by_the_api_and_in_temporal(
    stack: Running, runbook: Runbook, payer: Person, payee: Person
) -> None:
    for line in (STOP, STOP_IN_TEMPORAL):
        batch_id = await sent(payer, payee, REVIEWED, mode="atomic")
        await reaches(runbook, batch_id, "held")
        await runbook.run(line, {"bat_…": batch_id})
        found = await reaches(runbook, batch_id, "cancelled")
        assert (found["posted"], found["counts"]["not_posted"]) == (0, 1)
    told = await runbook.run(STOP, {"bat_…": await over(runbook, payer, payee)})
    assert "batch_over" in told


async def over(runbook: Runbook, payer: Person, payee: Person) -> str:
    batch_id = await sent(payer, payee, 1_00)
    await reaches(runbook, batch_id, "completed")
    return batch_id


async def test_a_held_batch_is_found_and_decided_about(runbook: Runbook, payer: Person, payee: Person) -> None:
    for line, state in ((APPROVE, "completed"), (REJECT, "refused")):
        batch_id = await sent(payer, payee, 1_00, REVIEWED, mode="atomic")
        await reaches(runbook, batch_id, "held")
        listed = json.loads(await runbook.run(HELD))["items"]
        assert batch_id in [each["id"] for each in listed]
        await runbook.run(line, {"bat_…": batch_id})
        await reaches(runbook, batch_id, state)


async def test_refused_items_are_counted_by_their_codes_and_listed(
    runbook: Runbook, payer: Person, payee: Person
) -> None:
    batch_id = await sent(payee, payer, 1_00, 2_00)  # the payee has nothing
    await reaches(runbook, batch_id, "completed")
    told = await runbook.run(REFUSED, {"bat_…": batch_id})
    assert "insufficient_funds |     2 |          1" in told, told
    listed = json.loads(await runbook.run(ITEMS, {"bat_…": batch_id}))["items"]
    assert [each["failure"]["code"] for each in listed] == ["insufficient_funds"] * 2
    transfer_id = listed[0]["transfer_id"]
    await payer.paid(payee, 5_00)
    retry = """act "transfers/$TRF/retry" '{"reason": "ticket 4711: unfrozen"}'"""
    assert json.loads(await runbook.run(retry, TRF=transfer_id))["attempt"] == 2

    async def is_paid() -> bool:
        return bool((await payee.get(f"/v1/transfers/{transfer_id}")).json()["state"] == "completed")

    await until(is_paid, "the item's transfer is paid at its second attempt")
    assert (await read(runbook, batch_id))["state"] == "completed"
