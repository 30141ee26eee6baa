"""The workflow of one webhook endpoint in the Web UI."""

from devenv.stack import Running
from ledger.workflow_ids import webhook_workflow_id
from tests.api.people import Person
from tests.runbook.web_ui import WebUI
from tests.webhooks.receiver import Receiver


async def test_user_metadata_says_what_an_endpoint_waits_for(
    ui: WebUI, stack: Running, admin: Person, payer: Person, payee: Person
) -> None:
    async with Receiver.running() as receiver:
        receiver.rule = lambda _: (500, {}, b"out of order")
        wanted = {"url": receiver.url, "types": ["transfer.completed"], "reason": "ticket 4711"}
        endpoint = (await admin.post("/v1/admin/webhook-endpoints", wanted)).json()["id"]
        await payer.pay(payee, 5_00)
        await receiver.gets(1)
        await ui.open(webhook_workflow_id(endpoint))
        await ui.picture("webhook-endpoint")
        await ui.user_metadata("Next attempt at")
        await ui.picture("webhook-endpoint-waits")
        path, auth = f"/v1/admin/webhook-endpoints/{endpoint}", {"Authorization": f"Bearer {admin.token}"}
        (await admin.http.delete(path, headers=auth)).raise_for_status()
