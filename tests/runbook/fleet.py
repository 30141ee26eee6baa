"""Workers of several versions on the same books; a command of the page starts each.

The checks call versions 1 and 2, as the page does. In Temporal their names have a suffix, because Temporal never forgets
a version: so each check has new ones.
"""

import os
import re
import secrets
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from temporalio.client import Client, ScheduleActionExecutionStartWorkflow, WorkflowExecutionStatus, WorkflowHandle

from devenv.processes.process import Process
from ledger.ids import CustomerId
from ledger.recovery import Sweep
from ledger.transfers import Standing, State
from tests.api.people import Person, in_review, reaches
from tests.runbook.commands import Runbook
from tests.waiting import until
from tests.workflows.sagas import builds, failed_tasks
from workflows.search_attributes import TRANSFER_STATE
from workflows.sweeps.schedules import RECOVERY_SCHEDULE
from workflows.transfer.saga import TransferWorkflow

# Amounts in minor units: from the first on one person reviews, from the second on two.
REVIEWED, FOUR_EYES = 100_00, 200_00
FUNDS, SMALL = 1_000_00, 1_00

VERSIONS = re.compile(r"(?:remit:|--(?:versioning-override-)?build-id )[12]\b")
COUNT_ON_2 = "TemporalWorkerDeploymentVersion='remit:2' AND ExecutionStatus='Running'"
IT_IS = "Successfully set the current worker deployment version"
NOT_YET = re.compile("Version not found in deployment|Worker Deployment not found|missing active task queues")
Handle = WorkflowHandle[TransferWorkflow, Standing]


@dataclass(frozen=True)
class Sent:
    """A transfer that was sent."""

    id: str
    workflow_id: str


@dataclass
class Fleet:
    """The worker processes, and the terminal of their operator."""

    runbook: Runbook
    client: Client
    staff: CustomerId
    folder: Path
    mark: str = field(default_factory=lambda: secrets.token_hex(3))
    processes: list[Process] = field(default_factory=list)
    has_versions: bool = False
    _numbers: "count[int]" = field(default_factory=count)

    async def run(
        self, line: str, fill: Mapping[str, str | Iterable[str]] | None = None, *, exits: int = 0, **variables: str
    ) -> str:
        """Run a command on this check's versions; the output has the page's names for them."""
        printed = await self.runbook.run(line, {**self._marked(line), **(fill or {})}, exits=exits, **variables)
        return printed.replace(f"-{self.mark}", "")

    async def start(
        self,
        line: str,
        fill: Mapping[str, str] | None = None,
        *,
        says: str = "worker runs",
        variables: Mapping[str, str],
    ) -> Process:
        """Start a command that stays in the foreground; it ends with the check."""
        log = self.folder / f"{next(self._numbers)}.log"
        process = await self.runbook.start(line, fill, log=log, says=says, **variables)
        self.processes.append(process)
        return process

    async def worker(self, version: int | None = None, **variables: str) -> Process:
        """Start a worker of this version, or without a version, and wait until it polls."""
        if version is None:
            return await self.start("remit worker", variables=variables)
        self.has_versions = True
        fill = {"REMIT_BUILD_ID=2": f"REMIT_BUILD_ID={self.name(version)}"}
        worker = await self.start("REMIT_BUILD_ID=2 remit worker", fill, variables=variables)

        async def asks() -> bool:
            return await self.pollers(version, worker) >= {"workflow", "activity"}

        await until(asks, f"the worker of version {version} asks for work")
        return worker

    async def pollers(self, version: int, worker: Process) -> set[str]:
        """The kinds of tasks that this worker polls for, as the server lists them."""
        printed = await self.runbook.run(
            "temporal task-queue describe --task-queue transfers --select-build-id remit:2",
            {"remit:2": f"remit:{self.name(version)}"},
        )
        rows = (line.split() for line in printed.splitlines())
        return {row[1] for row in rows if len(row) > 2 and row[2].startswith(f"{worker.pid}@")}

    async def make_current(self, version: int) -> None:
        """Make the version current as soon as Temporal knows it, a moment after its worker started."""
        line = (
            "temporal worker deployment set-current-version --deployment-name remit --build-id 1 --yes"
            if version == 1
            else "temporal worker deployment set-current-version --deployment-name remit --build-id 2 --yes"
        )
        await self.route_new(line)

    async def route_new(self, line: str) -> None:
        """Send new transfers to the version that the command names, as soon as Temporal knows it."""

        async def is_made() -> bool:
            code, printed = await self.runbook.tried(line, self._marked(line))
            assert IT_IS in printed if code == 0 else NOT_YET.search(printed), printed
            return code == 0

        await until(is_made, line)

    async def approve(self, sent: Sent, by: CustomerId | None = None) -> None:
        """Approve a review by the CLI, which needs no API."""
        await self.runbook.run(
            """temporal workflow update execute --workflow-id "$ID" --name decide --input '{"decider": "cus_…", "ruling": "reject", "reason": "ticket 4711"}'""",
            {"cus_…": by or self.staff, "reject": "approve"},
            ID=sent.workflow_id,
        )

    def name(self, version: int) -> str:
        """The version's name in Temporal."""
        return f"{version}-{self.mark}"

    def of(self, sent: Sent) -> Handle:
        """The transfer's workflow, in its latest run."""
        return self.client.get_workflow_handle_for(TransferWorkflow.run, sent.workflow_id)

    def log(self, process: Process) -> str:
        """The process's log, with the page's names for versions."""
        return process.child.log.read_text().replace(f"-{self.mark}", "")

    def _marked(self, line: str) -> dict[str, str]:
        return {found: f"{found}-{self.mark}" for found in VERSIONS.findall(line)}


def other_release(folder: Path, fleet: Fleet) -> str:
    """A PATH on which `remit` is another release. Neither can replay the other's transfers."""
    folder.mkdir()
    command = folder / "remit"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m tests.runbook.next_release "$@"\n')
    command.chmod(0o755)
    return os.pathsep.join((str(folder), fleet.runbook.environment["PATH"]))


async def sent(payer: Person, payee: Person, amount: int = 1_00, wait: int = 0) -> Sent:
    answer = await payer.pay(payee, amount, prefer=f"wait={wait}")
    assert answer.status_code in {201, 202}, answer.text
    made = answer.json()
    return Sent(made["id"], made["workflow_id"])


async def reviewed(payer: Person, payee: Person, amount: int) -> Sent:
    """A transfer in review."""
    transfer_id = await in_review(payer, payee, amount)
    return Sent(transfer_id, (await payer.get(f"/v1/transfers/{transfer_id}")).json()["workflow_id"])


async def completed(payer: Person, transfer: Sent) -> None:
    await reaches(payer, transfer.id, "completed")


async def leave_versions(fleet: Fleet) -> None:
    await fleet.route_new("temporal worker deployment set-current-version --deployment-name remit --unversioned --yes")


async def move_to_1(fleet: Fleet) -> None:
    """Move every workflow of version 2 to version 1."""
    printed = await fleet.run(
        """temporal workflow update-options --query "TemporalWorkerDeploymentVersion='remit:2' AND ExecutionStatus='Running'"
        --versioning-override-behavior pinned --versioning-override-deployment-name remit --versioning-override-build-id 1
        --reason 'version 2 is gone' --yes"""
    )
    assert "Start batch against approximately 1 workflow(s)? y/N yes" in printed
    assert "Started batch for job ID: " in printed


async def drained(fleet: Fleet, version: int) -> None:
    async def is_drained() -> bool:
        described = await fleet.run("temporal worker deployment describe --name remit")
        return f" remit {version} drained " in " ".join(described.split())

    await until(is_drained, f"version {version} is drained")


async def in_transit(fleet: Fleet, payer: Person, payee: Person) -> Sent:
    """A transfer whose destination is locked: its credit is a pending activity."""
    transfer = await sent(payer, payee)
    await reaches(payer, transfer.id, "debited")

    async def pending() -> bool:
        return bool((await fleet.of(transfer).describe()).raw_description.pending_activities)

    await until(pending, "the credit is pending")
    return transfer


async def fails_its_tasks(fleet: Fleet, transfer: Sent) -> None:
    async def fails() -> bool:
        return await failed_tasks(fleet.of(transfer)) > 0

    await until(fails, "a task has failed")


async def still_runs(fleet: Fleet, transfer: Sent) -> bool:
    return (await fleet.of(transfer).describe()).status is WorkflowExecutionStatus.RUNNING


async def waits_for_a_worker(fleet: Fleet, payer: Person, transfer: Sent) -> None:
    """Check that the transfer was accepted and no worker has started it."""
    assert (await payer.get(f"/v1/transfers/{transfer.id}")).json()["state"] == "initiated"
    history = await fleet.of(transfer).fetch_history()
    assert not any(event.HasField("workflow_task_started_event_attributes") for event in history.events)


async def ends_on(fleet: Fleet, transfer: Sent, *versions: int | None) -> None:
    """Check that the transfer completes on these versions without a failed task. None: a worker without a version."""
    assert (await fleet.of(transfer).result()).state is State.COMPLETED
    names = ["" if version is None else fleet.name(version) for version in versions]
    ran_on = await builds(fleet.of(transfer))
    assert ran_on == names, f"it ran on {ran_on}"
    assert await failed_tasks(fleet.of(transfer)) == 0


async def shows(fleet: Fleet, transfer: Sent, state: str) -> None:
    """Wait until the running transfer has this `TransferState`."""

    async def does() -> bool:
        shown = (await fleet.of(transfer).describe()).typed_search_attributes.get(TRANSFER_STATE)
        return shown == state and await still_runs(fleet, transfer)

    await until(does, f"its state is shown as {state}")


async def says(fleet: Fleet, line: str, text: str) -> None:
    """Wait until the command prints this text. A workflow whose worker was replaced takes its time to end."""
    printed = ""

    async def does() -> bool:
        nonlocal printed
        printed = await fleet.run(line)
        return text in printed

    try:
        await until(does, f"{text}: {line}", 90)
    except AssertionError as error:
        raise AssertionError(f"{error}, but {printed!r}") from None


async def one_left_on_2(fleet: Fleet) -> None:
    """Wait until Temporal lists one workflow that is pinned to version 2."""

    async def found() -> bool:
        query = COUNT_ON_2.replace("remit:2", f"remit:{fleet.name(2)}")
        return (await fleet.client.count_workflows(query)).count == 1

    await until(found, "Temporal lists one that is pinned to version 2")


async def recovered(fleet: Fleet) -> Sweep:
    """Trigger recovery and return its result."""
    schedule = fleet.client.get_schedule_handle(RECOVERY_SCHEDULE)
    before = (await schedule.describe()).info.num_actions
    await fleet.run("temporal schedule trigger  --schedule-id recovery")

    async def has_started() -> bool:
        return (await schedule.describe()).info.num_actions > before

    await until(has_started, "the sweep has started")
    started = (await schedule.describe()).info.recent_actions[-1].action
    assert isinstance(started, ScheduleActionExecutionStartWorkflow)
    swept: Sweep = await fleet.client.get_workflow_handle(started.workflow_id, result_type=Sweep).result()
    return swept


async def is_driven_on(fleet: Fleet, transfer: Sent) -> None:
    """Trigger recovery until it resumes the transfer: Temporal's list lags."""

    async def is_found() -> bool:
        return (await recovered(fleet)).driven_on == [transfer.id]

    await until(is_found, "recovery drives the transfer on")
