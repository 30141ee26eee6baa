"""The runbook's pages on cancelling a transfer and on trying a failed one again."""

import json

from tests.api.people import Person, in_review
from tests.runbook.lines import Runbook

REVIEWED = 150_00


async def test_staff_cancel_what_waits_in_review(runbook: Runbook, payer: Person, payee: Person) -> None:
    transfer_id = await in_review(payer, payee, REVIEWED)
    answer = await runbook.run("""act transfers/$TRF/cancel '{"reason": "ticket 4711"}'""", TRF=transfer_id)
    assert json.loads(answer)["state"] == "cancelled"
