"""Requests for a higher tier."""

from datetime import timedelta

from pydantic import SecretStr

from database.encryption import Encryption
from ledger.workflow_ids import tier_request_workflow_id
from tests.histories.stage import RecordedAction, Stage, path
from tests.orders import FINGERPRINT_KEY
from tiers.postgres.tier_requests import TierRequests
from tiers.tier_request import TierDecision, TierRequest, TierRuling, TierTerms
from workflows.customers.tier_request import TierRequestWorkflow


def requests_of(stage: Stage, deadline_seconds: int) -> TierRequests:
    terms = TierTerms(deadline_seconds, four_eyes_from_tier=None)
    return TierRequests(stage.saga.book.database, Encryption([FINGERPRINT_KEY]), terms, timedelta(0))


async def started(stage: Stage, requests: TierRequests) -> tuple[TierRequest, RecordedAction]:
    request = await requests.open(stage.ada.id, stage.ada.account_id, 2, "BVN", "98765432109")
    assert request is not None
    handle = await stage.saga.client.start_workflow(
        TierRequestWorkflow.run,
        request.id,
        id=tier_request_workflow_id(request.id),
        task_queue=stage.saga.settings.task_queue,
    )
    return request, handle


@path(fingerprint_keys=SecretStr(FINGERPRINT_KEY))
async def tier_request_approved(stage: Stage) -> RecordedAction:
    requests = requests_of(stage, 14 * 24 * 60 * 60)
    request, handle = await started(stage, requests)
    await requests.decide(request.id, TierDecision(stage.olu, TierRuling.APPROVE, "Genuine"))
    await handle.signal(TierRequestWorkflow.look_again)
    return handle


@path(fingerprint_keys=SecretStr(FINGERPRINT_KEY))
async def tier_request_expired(stage: Stage) -> RecordedAction:
    _, handle = await started(stage, requests_of(stage, 1))
    return handle
