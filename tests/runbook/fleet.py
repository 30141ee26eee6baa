"""Workers of several versions over the same books, each a process that a line of the page starts.

Versions are called 1 and 2 as on the page, and something of their own behind that in Temporal, which never forgets one:
so each check has versions that nobody has heard of.
"""

import os
import re
import secrets
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from temporalio.client import Client, WorkflowHandle

from devenv.process import Process
from ledger.ids import CustomerId
from ledger.transfers import Standing
from tests.api.people import Person, in_review, reaches
from tests.runbook.lines import Runbook
from tests.waiting import until
from workflows.transfer import TransferWorkflow

VERSIONS = re.compile(r"(?:remit:|--(?:versioning-override-)?build-id )[12]\b")
IT_IS = "Successfully set the current worker deployment version"
NOT_YET = re.compile("Version not found in deployment|Worker Deployment not found")
Handle = WorkflowHandle[TransferWorkflow, Standing]


@dataclass(frozen=True)
class Sent:
    """A transfer that was sent."""

    id: str
    workflow_id: str


@dataclass
class Fleet:
    """Those processes, and the terminal they are looked after from."""

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
        """Run a line of the page on this check's versions; what it prints has the page's names for them."""
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
        """Run a line that stays, until this check's end at most."""
        log = self.folder / f"{next(self._numbers)}.log"
        process = await self.runbook.start(line, fill, log=log, says=says, **variables)
        self.processes.append(process)
        return process

    async def worker(self, version: int | None = None, **variables: str) -> Process:
        """A worker of this version, or of none, which asks for work."""
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
        """For which kinds of tasks the server has seen this worker ask."""
        printed = await self.runbook.run(
            "temporal task-queue describe --task-queue transfers --select-build-id remit:2",
            {"remit:2": f"remit:{self.name(version)}"},
        )
        rows = (line.split() for line in printed.splitlines())
        return {row[1] for row in rows if len(row) > 2 and row[2].startswith(f"{worker.pid}@")}

    async def make_current(self, version: int) -> None:
        """As soon as Temporal has heard of it, which is a moment after its worker came up."""
        line = (
            "temporal worker deployment set-current-version --deployment-name remit --build-id 1 --yes"
            if version == 1
            else "temporal worker deployment set-current-version --deployment-name remit --build-id 2 --yes"
        )

        async def is_made() -> bool:
            code, printed = await self.runbook.tried(line, self._marked(line))
            assert IT_IS in printed if code == 0 else NOT_YET.search(printed), printed
            return code == 0

        await until(is_made, f"version {version} is current")

    async def approve(self, sent: Sent, by: CustomerId | None = None) -> None:
        """By the CLI, which needs no API."""
        await self.runbook.run(
            """temporal workflow update execute --workflow-id "$ID" --name decide --input '{"decider": "cus_…", "ruling": "reject", "reason": "ticket 4711"}'""",
            {"cus_…": by or self.staff, "reject": "approve"},
            ID=sent.workflow_id,
        )

    def name(self, version: int) -> str:
        """What Temporal knows the version by."""
        return f"{version}-{self.mark}"

    def of(self, sent: Sent) -> Handle:
        """The transfer's workflow, in its latest run."""
        return self.client.get_workflow_handle_for(TransferWorkflow.run, sent.workflow_id)

    def log(self, process: Process) -> str:
        """What it has said, with the page's names for versions."""
        return process.child.log.read_text().replace(f"-{self.mark}", "")

    def _marked(self, line: str) -> dict[str, str]:
        return {found: f"{found}-{self.mark}" for found in VERSIONS.findall(line)}


def other_release(folder: Path, fleet: Fleet) -> str:
    """A path on which `remit` is another release: neither can replay what began on the other."""
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
    """A transfer that waits for people."""
    transfer_id = await in_review(payer, payee, amount)
    return Sent(transfer_id, (await payer.get(f"/v1/transfers/{transfer_id}")).json()["workflow_id"])


async def completed(payer: Person, transfer: Sent) -> None:
    await reaches(payer, transfer.id, "completed")
