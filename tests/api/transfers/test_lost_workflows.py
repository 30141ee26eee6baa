"""What was acknowledged never vanishes, whatever becomes of its workflow."""

import secrets
from dataclasses import replace

from temporalio.client import Client

from database.connections import Database
from settings import Settings
from tests.api.people import register, running_api
from workflows.recovery import RecoveryWorkflow


async def test_a_transfer_acknowledged_and_terminated_before_any_worker_saw_it_is_abandoned_and_can_be_tried_again(
    settings: Settings, database: Database, client: Client
) -> None:
    async with running_api(settings, database, worker=False) as http:
        ada, ben = await register(http), await register(http)
        accepted = await ada.pay(ben, 100, "rent", prefer="wait=0")
        assert (accepted.status_code, accepted.json()["state"]) == (202, "initiated")
        await client.get_workflow_handle(accepted.json()["workflow_id"]).terminate("by an operator")
    at_once = settings.model_copy(update={"recovery_grace_seconds": 0})
    async with running_api(at_once, database) as http:
        swept = await client.execute_workflow(
            RecoveryWorkflow.run, id=f"recovery-{secrets.token_hex(6)}", task_queue=settings.task_queue
        )
        transfer_id = accepted.json()["id"]
        assert swept.abandoned == [transfer_id]
        ada = replace(ada, http=http)
        ended = (await ada.get(f"/v1/transfers/{transfer_id}")).json()
        assert (ended["state"], ended["failure"]["code"]) == ("failed", "abandoned")
        again = await ada.pay(ben, 100, "rent")
        assert (again.status_code, again.json()["state"]) == (201, "failed")
        assert again.headers["Idempotent-Replayed"] == "true"
        tried = await ada.post(f"/v1/transfers/{transfer_id}/retry", None)
        assert (tried.json()["attempt"], tried.json()["failure"]["code"]) == (2, "insufficient_funds")
