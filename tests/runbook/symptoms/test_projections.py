"""The page on projections: how far they are, what does not fit, and a rebuild."""

import json

import asyncpg

from devenv.stack import Running
from tests.api.people import Person
from tests.runbook.commands import Runbook
from tests.waiting import until

LIST = "remit projections list                                                 # how far each is behind the events"
SINKS = """curl -s "$API/v1/admin/sinks" -H "Authorization: Bearer $STAFF_TOKEN" | python3 -m json.tool"""
COMPARE = """psql "$REMIT_OPERATOR_DATABASE_URL" -c "SELECT s.account_id, s.balance_minor AS projected, a.balance_minor AS booked
  FROM projections p JOIN account_stats s ON s.slot = p.generation % 2 JOIN accounts a ON a.id = s.account_id
  WHERE p.name = 'account_stats' AND s.balance_minor <> a.balance_minor\""""
REBUILD_STATS = (
    """remit projections rebuild account_stats --api "$API" --reason 'ticket 4711'   # with an admin in STAFF_TOKEN"""
)
REBUILD_STATUS = """remit projections rebuild transfer_status --api "$API" --reason 'ticket 4711'"""


async def test_figures_that_do_not_fit_are_found_and_mended_by_a_rebuild(
    stack: Running, runbook: Runbook, admins_runbook: Runbook, payer: Person, paid: str
) -> None:
    async def all_is_projected() -> bool:
        return "(0 rows)" in await runbook.run(COMPARE)

    async def is_known() -> bool:
        return bool((await payer.get(f"/v1/transfers/{paid}/status")).json()["state"] == "completed")

    await until(is_known, "the transfer's status is projected")
    await until(all_is_projected, "all figures fit")
    connection = await asyncpg.connect(stack.database_url)
    await connection.execute(
        "UPDATE account_stats SET balance_minor = balance_minor + 1, incoming_minor = incoming_minor + 1 "
        "WHERE account_id = $1",
        payer.account_id,
    )
    await connection.close()
    assert payer.account_id in await runbook.run(COMPARE)
    assert "generation 2 is shown" in await admins_runbook.run(REBUILD_STATS)
    assert payer.account_id not in await runbook.run(COMPARE)
    assert "generation 2 is shown" in await admins_runbook.run(REBUILD_STATUS)
    assert "transfer_status" in await runbook.run(LIST)
    found = {each["name"]: each for each in json.loads(await runbook.run(SINKS))["items"]}
    assert found["account_stats"]["state"] == "running"
