"""The page on statements: a file that somebody brings, and one that is not ready."""

import json
from pathlib import Path

import asyncpg

from devenv.stack import Running
from tests.api.people import Person
from tests.runbook.commands import Runbook
from tests.waiting import until

COMPARE = "remit verify --statement statement.pdf"
LIST = """curl -s "$API/v1/admin/accounts/acc_…/statements" -H "Authorization: Bearer $STAFF_TOKEN" | python3 -m json.tool"""
START = """temporal workflow start --type StatementWorkflow --task-queue transfers --workflow-id 'statement/acc_…/1' \\
  --input '{"account_id": "acc_…", "number": 1}'"""
SWEEP = "temporal schedule trigger --schedule-id statements"
ALL_TIME = {"from": "2026-01-01", "to": "2999-12-31"}


async def test_a_statement_that_somebody_brings_is_compared_and_a_lost_one_is_started_again(
    stack: Running, runbook: Runbook, payer: Person, tmp_path: Path
) -> None:
    path = f"/v1/accounts/{payer.account_id}/statements"
    made = (await payer.post(path, ALL_TIME)).json()
    file = tmp_path / "statement.pdf"
    file.write_bytes((await payer.get(f"{path}/{made['number']}.pdf")).content)
    fill = {"statement.pdf": str(file)}
    assert "byte by byte" in await runbook.run(COMPARE, fill)
    file.write_bytes(file.read_bytes() + b"%")
    assert "differs from the books' own PDF" in await runbook.run(COMPARE, fill, exits=1)
    assert json.loads(await runbook.run(LIST, {"acc_…": payer.account_id}))["items"][0]["state"] == "ready"

    # A sweep makes the month before, once.
    connection = await asyncpg.connect(stack.database_url)
    await connection.execute("UPDATE accounts SET created_at = now() - interval '2 months'")
    await connection.close()
    await runbook.run(SWEEP)

    async def has_last_month() -> bool:
        return any(each["month"] for each in (await payer.get(path)).json()["items"])

    await until(has_last_month, "the sweep has made last month's statement")

    # One whose workflow was lost before its first step.
    connection = await asyncpg.connect(stack.database_url)
    await connection.execute("ALTER TABLE account_statement_totals DISABLE TRIGGER USER")
    await connection.execute(
        "UPDATE account_statement_totals t SET ready_at = NULL, through_version = 0, credits = 0, credits_minor = 0, "
        "debits = 0, debits_minor = 0 WHERE account_id = $1 AND number = 1",
        payer.account_id,
    )
    await connection.execute("ALTER TABLE account_statement_totals ENABLE TRIGGER USER")
    await connection.close()
    await runbook.run(START, {"acc_…": (payer.account_id, payer.account_id)})

    async def is_ready() -> bool:
        found = (await payer.get(f"{path}/1")).json()
        return bool(found["state"] == "ready" and found["closing"] == made["closing"])

    await until(is_ready, "the statement is ready again")
