"""Paths of an onboarding: by its verifier, by staff after a rejection, and after its workflow was lost."""

import secrets
from datetime import timedelta

from pydantic import SecretStr

from customers.documents.document import PENDING, VERIFIED, DocumentType, NewDocument, VerificationState
from customers.documents.sandbox import REJECTED_NUMBER, REVIEW_NUMBER
from ledger.ids import CustomerId
from ledger.workflow_ids import onboarding_workflow_id
from onboarding.postgres import Onboarding
from staff.permissions import Actor, Role
from tests.histories.stage import RecordedAction, Stage, path
from tests.orders import ENCRYPTION, ENCRYPTION_KEY
from tests.waiting import until
from workflows.customers.onboarding import OnboardingWorkflow
from workflows.recovery import RecoveryWorkflow

WITH_NUMBERS = {"sandbox_rails": True, "encryption_keys": SecretStr(ENCRYPTION_KEY), "recovery_grace_seconds": 0}


def rows(stage: Stage) -> Onboarding:
    return Onboarding(stage.saga.book.database, ENCRYPTION)


async def registered(stage: Stage, number: str) -> CustomerId:
    document = NewDocument(DocumentType.NIN, number, PENDING)
    address = f"{secrets.token_hex(8)}@example.com"
    customer, _ = await stage.customers.register(address, "-", "Ada Obi", document, "USD")
    return customer.id


async def started(stage: Stage, customer_id: CustomerId) -> RecordedAction:
    return await stage.saga.client.start_workflow(
        OnboardingWorkflow.run,
        customer_id,
        id=onboarding_workflow_id(customer_id),
        task_queue=stage.saga.settings.task_queue,
        task_timeout=timedelta(seconds=3),
    )


async def becomes(stage: Stage, customer_id: CustomerId, state: VerificationState) -> None:
    async def is_so() -> bool:
        return (await rows(stage).progress(customer_id)).state is state

    await until(is_so, f"the document is {state}")


@path(**WITH_NUMBERS)
async def onboarding_verified(stage: Stage) -> RecordedAction:
    return await started(stage, await registered(stage, "22334455667"))


@path(**WITH_NUMBERS)
async def onboarding_rejected(stage: Stage) -> RecordedAction:
    return await started(stage, await registered(stage, REJECTED_NUMBER))


@path(**WITH_NUMBERS)
async def onboarding_decided_by_staff(stage: Stage) -> RecordedAction:
    customer_id = await registered(stage, REVIEW_NUMBER)
    handle = await started(stage, customer_id)
    await becomes(stage, customer_id, VerificationState.IN_REVIEW)
    document = (await rows(stage).progress(customer_id)).document_id
    await rows(stage).decide(Actor(stage.olu, Role.OPERATOR), document, VERIFIED, "The passport was shown")
    await handle.signal(OnboardingWorkflow.look_again)
    return handle


@path(**WITH_NUMBERS)
async def recovery_started_an_onboarding_again(stage: Stage) -> RecordedAction:
    customer_id = await registered(stage, "22334455667")
    handle = await stage.saga.client.start_workflow(
        RecoveryWorkflow.run, id=f"sweep-{secrets.token_hex(6)}", task_queue=stage.saga.settings.task_queue
    )
    await handle.result()
    await becomes(stage, customer_id, VerificationState.VERIFIED)
    return handle
