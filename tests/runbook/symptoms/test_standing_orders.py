"""docs/operate/runbook/standing-orders.md: payments are late, none may leave, one order is to stop."""

import re
from datetime import UTC, datetime
from typing import Any

from database.connections import Database
from tests.api.people import Person
from tests.orders import FINGERPRINTS
from tests.runbook.commands import Runbook
from tests.waiting import until

STEER = {
    "pause": ('act standing-orders/sto_…/pause \'{"reason": "Reported as a mistake, ticket 4711"}\'', "paused"),
    "resume": ('act standing-orders/sto_…/resume \'{"reason": "Confirmed by its owner, ticket 4711"}\'', "active"),
    "cancel": ('act standing-orders/sto_…/cancel \'{"reason": "Its owner has died, ticket 4711"}\'', "cancelled"),
}
LATE = """psql "$REMIT_OPERATOR_DATABASE_URL" -c "SELECT order_id, date, code, tries, next_try_at
  FROM standing_order_occurrences WHERE state = 'due' AND next_try_at < now() - interval '5 minutes'
  ORDER BY next_try_at LIMIT 20" """


KEYS = """psql "$REMIT_OPERATOR_DATABASE_URL" -c "SELECT split_part(stamp, '.', 1) AS key, count(*), 'standing orders' AS of
     FROM standing_orders WHERE state IN ('active', 'paused') GROUP BY 1
     UNION ALL SELECT split_part(stamp, '.', 1), count(*), 'payments' FROM standing_order_occurrences
     WHERE state IN ('due', 'under_way') GROUP BY 1
     UNION ALL SELECT split_part(i.fingerprint, '.', 1), count(*), 'items of ' || min(b.id)
     FROM batches b JOIN batch_items i ON i.batch_id = b.id
     WHERE b.state IN ('accepted', 'in_progress', 'held') GROUP BY 1" """.strip()


async def ordered(payer: Person, payee: Person, **recurrence: Any) -> str:
    wanted = {
        "source_account_id": payer.account_id,
        "destination_account_id": payee.account_id,
        "currency": "USD",
        "amount": 10_00,
        "recurrence": {"frequency": "daily", "first_date": datetime.now(UTC).date().isoformat()} | recurrence,
    }
    answer = await payer.post("/v1/standing-orders", wanted)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def test_a_paused_schedule_pays_nothing_and_goes_on(
    runbook: Runbook, payer: Person, payee: Person, database: Database
) -> None:
    await runbook.run("temporal schedule toggle --schedule-id standing-orders --pause --reason 'ticket 4711'")
    told = await runbook.run("temporal schedule describe --schedule-id standing-orders")
    assert "ticket 4711" in told
    order_id = await ordered(payer, payee, first_date="2099-01-01")
    assert "(0 rows)" in await runbook.run(LATE.strip())
    await runbook.run("temporal schedule toggle --schedule-id standing-orders --unpause --reason 'ticket 4711 is done'")
    await runbook.run("temporal schedule trigger --schedule-id standing-orders")

    async def has_run() -> bool:
        told = await runbook.run("temporal schedule describe --schedule-id standing-orders")
        return "StandingOrderSweepWorkflow" in told

    await until(has_run, "the schedule starts sweeps")
    assert (await payer.get(f"/v1/standing-orders/{order_id}")).json()["state"] == "active"
    keys = re.findall(r"^ ([0-9a-f]{8}) \|", await runbook.run(KEYS), re.MULTILINE)
    assert set(keys) == {FINGERPRINTS.stamp(("a test",)).partition(".")[0]}


async def test_staff_stop_one_order_and_read_what_became_of_its_dates(
    runbook: Runbook, payer: Person, payee: Person, admin: Person
) -> None:
    order_id = await ordered(payer, payee, first_date="2099-01-01")
    for line, state in STEER.values():
        told = await runbook.run(line, {"sto_…": order_id}, STAFF_TOKEN=admin.token)
        assert f'"state":"{state}"' in told, told
    listed = await runbook.run(
        'curl -s "$API/v1/admin/standing-orders/sto_…/occurrences" -H "Authorization: Bearer $STAFF_TOKEN"',
        {"sto_…": order_id},
        STAFF_TOKEN=admin.token,
    )
    assert '"items":[]' in listed
