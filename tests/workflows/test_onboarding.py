"""Onboarding's workflow: the rows decide, whatever happens to it; its history names nobody."""

import asyncio
import re
import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle

from customers.documents.document import (
    PENDING,
    VERIFIED,
    DocumentFinding,
    DocumentType,
    NewDocument,
    RejectionCode,
    VerificationState,
)
from customers.documents.verifier import Inquiry, VerifierInDoubt
from customers.postgres import Customers
from database.connections import Database
from ledger.ids import CustomerId
from ledger.workflow_ids import onboarding_workflow_id
from onboarding.postgres import Onboarding
from settings import Settings
from staff.permissions import Actor, Role
from tests.orders import ENCRYPTION, ENCRYPTION_KEY, staff
from tests.waiting import until
from tests.workflows.sagas import Hold, UnreliableBook
from worker import build_worker
from workflows import policies
from workflows.customers.onboarding import OnboardingWorkflow
from workflows.policies import TASK_TIMEOUT
from workflows.recovery import RecoveryWorkflow

NUMBER = "98765432101"
NAME = "Adaeze Obiageli"
REJECTED = DocumentFinding(VerificationState.REJECTED, RejectionCode.NAME_MISMATCH)


@dataclass
class Provider:
    """Answers what a test puts on its list, then that all is well. It may be held while it answers."""

    answers: list[DocumentFinding | Exception] = field(default_factory=list)
    hold: Hold | None = None
    asked: list[Inquiry] = field(default_factory=list)

    def known(self, number: str) -> DocumentFinding | None:
        return None

    async def find_out(self, inquiry: Inquiry) -> DocumentFinding:
        self.asked.append(inquiry)
        if self.hold is not None:
            hold, self.hold = self.hold, None
            await hold()
        answer = self.answers.pop(0) if self.answers else VERIFIED
        if isinstance(answer, Exception):
            raise answer
        return answer


@dataclass
class Scene:
    """Customers, their workflows, and a worker for them."""

    client: Client
    database: Database
    customers: Customers
    provider: Provider = field(default_factory=Provider)
    queue: str = field(default_factory=lambda: f"test-{secrets.token_hex(6)}")

    def __post_init__(self) -> None:
        self.onboarding = Onboarding(self.database, ENCRYPTION)

    def worker(self) -> Any:
        settings = Settings.model_validate(
            {"task_queue": self.queue, "encryption_keys": ENCRYPTION_KEY, "recovery_grace_seconds": 0}
        )
        return build_worker(self.client, UnreliableBook(self.database), settings, verifier=self.provider)

    async def registered(self, finding: DocumentFinding = PENDING) -> CustomerId:
        document = NewDocument(DocumentType.NIN, NUMBER, finding)
        customer, _ = await self.customers.register(f"{secrets.token_hex(8)}@example.com", "-", NAME, document, "USD")
        return customer.id

    async def start(self, customer_id: CustomerId) -> WorkflowHandle[Any, VerificationState]:
        return await self.client.start_workflow(
            OnboardingWorkflow.run,
            customer_id,
            id=onboarding_workflow_id(customer_id),
            task_queue=self.queue,
            task_timeout=TASK_TIMEOUT,
        )

    async def state(self, customer_id: CustomerId) -> VerificationState:
        return (await self.onboarding.progress(customer_id)).state

    async def becomes(self, customer_id: CustomerId, state: VerificationState) -> None:
        async def is_so() -> bool:
            return await self.state(customer_id) is state

        await until(is_so, f"the document is {state}")

    async def swept(self) -> list[str]:
        sweep = await self.client.execute_workflow(
            RecoveryWorkflow.run, id=f"sweep-{secrets.token_hex(6)}", task_queue=self.queue
        )
        return sweep.onboardings


@pytest.fixture
def scene(client: Client, database: Database, customers: Customers) -> Scene:
    return Scene(client, database, customers)


async def test_a_verifier_in_doubt_is_asked_again_with_the_same_document(scene: Scene) -> None:
    scene.provider.answers = [VerifierInDoubt("no answer"), PENDING, VERIFIED]
    ada = await scene.registered()
    async with scene.worker():
        assert await (await scene.start(ada)).result() == VerificationState.VERIFIED
    assert len(scene.provider.asked) == 3
    assert len({one.document_id for one in scene.provider.asked}) == 1


async def test_a_history_names_nobody_and_holds_no_number(scene: Scene) -> None:
    scene.provider.answers = [VerifierInDoubt("no answer"), REJECTED]
    ada = await scene.registered()
    async with scene.worker():
        handle = await scene.start(ada)
        assert await handle.result() == VerificationState.REJECTED
        history = (await handle.fetch_history()).to_json()
        description = await handle.describe()
    (inquiry, *_) = scene.provider.asked
    assert (inquiry.number, inquiry.full_name) == (NUMBER, NAME)
    told = history + str(description.raw_description)
    assert ada in told
    for secret in (NUMBER, NAME, "Adaeze", "@example.com"):
        assert secret not in told
    # The last digits, which are shown, by themselves: those of a time may be the same.
    assert re.search(rf"\b{NUMBER[-4:]}\b", told) is None


async def test_a_rejected_customer_sends_another_document_and_the_workflow_runs_once_more(scene: Scene) -> None:
    scene.provider.answers = [REJECTED, VERIFIED]
    ada = await scene.registered()
    async with scene.worker():
        assert await (await scene.start(ada)).result() == VerificationState.REJECTED
        await scene.onboarding.send_document(ada, NewDocument(DocumentType.BVN, "11112222333", PENDING))
        assert await (await scene.start(ada)).result() == VerificationState.VERIFIED
    assert [one.type for one in scene.provider.asked] == ["NIN", "BVN"]


async def test_a_document_that_comes_while_the_workflow_ends_is_not_forgotten(scene: Scene) -> None:
    scene.provider.answers = [REJECTED, VERIFIED]
    scene.provider.hold = hold = Hold()
    ada = await scene.registered()
    async with scene.worker():
        handle = await scene.start(ada)
        await hold.reached.wait()
        await handle.signal(OnboardingWorkflow.look_again)
        hold.released.set()
        await scene.becomes(ada, VerificationState.REJECTED)
        await scene.onboarding.send_document(ada, NewDocument(DocumentType.BVN, "11112222333", PENDING))
        await scene.client.start_workflow(
            OnboardingWorkflow.run,
            ada,
            id=onboarding_workflow_id(ada),
            task_queue=scene.queue,
            start_signal="look_again",
        )
        await scene.becomes(ada, VerificationState.VERIFIED)
        assert await handle.result() in (VerificationState.REJECTED, VerificationState.VERIFIED)


async def test_a_workflow_that_waits_for_staff_ends_with_their_decision(scene: Scene) -> None:
    scene.provider.answers = [DocumentFinding(VerificationState.IN_REVIEW)]
    ada = await scene.registered()
    async with scene.worker():
        handle = await scene.start(ada)
        await scene.becomes(ada, VerificationState.IN_REVIEW)
        decider = Actor(await staff(scene.database), Role.OPERATOR)
        document = (await scene.onboarding.progress(ada)).document_id
        await scene.onboarding.decide(decider, document, VERIFIED, "The passport was shown")
        await handle.signal(OnboardingWorkflow.look_again)
        assert await handle.result() == VerificationState.VERIFIED


async def test_a_worker_that_dies_while_the_verifier_is_asked_loses_nothing(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policies, "GRACEFUL_SHUTDOWN", timedelta(0))
    scene.provider.hold = hold = Hold()
    ada = await scene.registered()
    handle = await scene.start(ada)
    first = asyncio.create_task(scene.worker().run())
    await asyncio.wait_for(hold.reached.wait(), 20)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    async with scene.worker():
        assert await handle.result() == VerificationState.VERIFIED
    assert len({one.document_id for one in scene.provider.asked}) == 1


async def test_recovery_starts_what_registration_could_not_and_leaves_the_decided_alone(scene: Scene) -> None:
    lost, verified = await scene.registered(), await scene.registered(VERIFIED)
    rejected = await scene.registered(REJECTED)
    async with scene.worker():
        assert await scene.swept() == [lost]
        await scene.becomes(lost, VerificationState.VERIFIED)
        handle = scene.client.get_workflow_handle(onboarding_workflow_id(lost))
        await handle.result()
        assert await scene.swept() == []
    assert (await handle.describe()).status is WorkflowExecutionStatus.COMPLETED
    assert await scene.state(verified) is VerificationState.VERIFIED
    assert await scene.state(rejected) is VerificationState.REJECTED


async def test_a_terminated_workflow_is_started_again_by_recovery_and_one_that_runs_is_left(scene: Scene) -> None:
    scene.provider.answers = [DocumentFinding(VerificationState.IN_REVIEW)]
    ada = await scene.registered()
    async with scene.worker():
        handle = await scene.start(ada)
        await scene.becomes(ada, VerificationState.IN_REVIEW)
        assert await scene.swept() == []
        await handle.terminate("a mistake")
        assert await scene.swept() == [ada]
        again = scene.client.get_workflow_handle(onboarding_workflow_id(ada))
        assert (await again.describe()).status is WorkflowExecutionStatus.RUNNING
        await again.terminate("the end of this test")
