"""The page on webhook endpoints: which fail and why, and how their events come after all."""

from devenv.stack import Running
from tests.api.people import Person
from tests.runbook.commands import Runbook
from tests.waiting import until
from tests.webhooks.receiver import Receiver

FAILING = """psql "$REMIT_OPERATOR_DATABASE_URL" -c "SELECT id, owner_id, state, disabled_by, failing_since, resting_until
  FROM webhook_endpoints WHERE deleted_at IS NULL AND state <> 'enabled' ORDER BY failing_since\""""
ATTEMPTS = """psql "$REMIT_OPERATOR_DATABASE_URL" -c "SELECT attempted_at, event_id, number, status, error, milliseconds, response
  FROM delivery_attempts WHERE endpoint_id = 'whe_…' ORDER BY attempted_at DESC LIMIT 10\""""
DESCRIBE = "temporal workflow describe --workflow-id 'webhook/whe_…'"
ENABLE = """curl -s -X PATCH "$API/v1/admin/webhook-endpoints/$WHE" -H "Authorization: Bearer $STAFF_TOKEN" \\
  -H 'Content-Type: application/json' -d '{"state": "enabled", "reason": "ticket 4711"}'"""
TEST = "act webhook-endpoints/$WHE/test ''"
REPLAY = """act webhook-endpoints/$WHE/replay '{"since": "2026-01-31T08:00:00Z", "reason": "ticket 4711"}'"""
DEAD = """remit dead-letters replay --api "$API" --source webhooks --target whe_… --reason 'ticket 4711'"""

ENDPOINTS = "/v1/admin/webhook-endpoints"


async def test_an_endpoint_that_fails_is_found_and_gets_its_events_after_all(
    stack: Running, runbook: Runbook, admins_runbook: Runbook, admin: Person, payer: Person, payee: Person
) -> None:
    async with Receiver.running() as receiver:
        receiver.rule = lambda _: (500, {}, b"out of order")
        wanted = {"url": receiver.url, "types": ["transfer.completed"], "reason": "ticket 4711"}
        endpoint = (await admin.post(ENDPOINTS, wanted)).json()["id"]
        await payer.pay(payee, 5_00)
        await receiver.gets(1)

        async def is_notified() -> bool:
            return "out of order" in await runbook.run(ATTEMPTS, {"whe_…": endpoint})

        await until(is_notified, "the page shows why it fails")
        assert "WebhookEndpointWorkflow" in await runbook.run(DESCRIBE, {"whe_…": endpoint})
        receiver.rule = lambda _: (204, {}, b"")
        off = {"state": "disabled", "reason": "ticket 4711"}
        auth = {"Authorization": f"Bearer {admin.token}"}
        (await admin.http.patch(f"{ENDPOINTS}/{endpoint}", json=off, headers=auth)).raise_for_status()
        assert endpoint in await runbook.run(FAILING)
        assert '"enabled"' in await admins_runbook.run(ENABLE, WHE=endpoint)
        assert "webhook_endpoint.test" in await admins_runbook.run(TEST, WHE=endpoint)
        assert endpoint in await admins_runbook.run(REPLAY, WHE=endpoint)
        assert "0 dead letters." in await admins_runbook.run(DEAD, {"whe_…": endpoint})

        async def has_all() -> bool:
            return {"transfer.completed", "webhook_endpoint.test"} <= {
                one.body["type"] for one in receiver.received[1:]
            }

        await until(has_all, "the endpoint got its events")
