"""Workflows in flight survive a new version of the code: it replays every recorded history, also in the SDK's sandbox.

Workers run workflows outside of the sandbox. In it, a workflow that asks the clock, the disk or the network fails.
"""

import base64
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from tests.histories.record import FOLDER, TOLD_BY
from tests.histories.stage import PATHS
from worker import DIRECT, VERSIONED_WORKFLOWS, WORKFLOWS

HISTORIES = Path(__file__).resolve().parents[1] / "histories"
RECORDED = sorted(HISTORIES.glob("*/*.json"))

# A process, a host, a folder, a line of code, or how to get in.
PRIVATE = re.compile(
    r"\d@|@[a-z]|127\.0\.0\.1|/(?:root|home|tmp|Users|usr)/|\.py\b|postgresql:|password", re.IGNORECASE
)


# It imports the workflows anew for each history, and takes the pure modules as they are.
SANDBOX = SandboxedWorkflowRunner(
    restrictions=SandboxRestrictions.default.with_passthrough_modules(
        *(
            "batches",
            "customers",
            "disputes",
            "ledger",
            "notifications",
            "onboarding",
            "reviews",
            "screening",
            "staff",
            "standing_orders",
            "statements",
            "tiers",
            "webhooks",
        ),
        *("orjson", "structlog"),
    )
)


@pytest.mark.parametrize(
    ("workflows", "runner"),
    [(WORKFLOWS, SANDBOX), (VERSIONED_WORKFLOWS, DIRECT)],
    ids=["without-version-in-sandbox", "with-version"],
)
@pytest.mark.parametrize("path", RECORDED, ids=lambda path: f"{path.parent.name}-{path.stem}")
async def test_a_recorded_history_replays(path: Path, workflows: Sequence[type], runner: WorkflowRunner) -> None:
    history = WorkflowHistory.from_json(path.stem, json.loads(path.read_text()))
    # The sandbox would import every workflow anew, and one replays.
    replayed = [each for each in workflows if each.__name__ == workflow_type(path)] or workflows
    await Replayer(workflows=replayed, workflow_runner=runner).replay_workflow(history)


def test_every_path_is_recorded_and_every_recording_is_of_a_path() -> None:
    newest = max((path.parent for path in RECORDED), key=lambda folder: int(folder.name))
    assert newest == FOLDER
    assert {path.stem for path in newest.glob("*.json")} == PATHS.keys()


def test_every_module_with_paths_is_told_of() -> None:
    modules = {path.stem for path in HISTORIES.glob("*.py")} - {"record", "stage"}
    assert {module.__name__.rpartition(".")[2] for module in TOLD_BY} == modules


def test_every_workflow_is_recorded() -> None:
    begun = {workflow_type(path) for path in FOLDER.glob("*.json")}
    assert begun == {workflow.__name__ for workflow in WORKFLOWS}


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_recording_tells_nothing_of_whoever_recorded_it(path: Path) -> None:
    told = [text for text in texts(json.loads(path.read_text())) if PRIVATE.search(text)]
    assert told == []


def workflow_type(path: Path) -> str:
    began = json.loads(path.read_text())["events"][0]["workflowExecutionStartedEventAttributes"]
    name: str = began["workflowType"]["name"]
    return name


def texts(part: object, name: str = "") -> Iterator[str]:
    """Every text in a recording, with payloads as what they say."""
    if isinstance(part, dict):
        for inner, value in part.items():
            yield from texts(value, inner)
    elif isinstance(part, list):
        for value in part:
            yield from texts(value, name)
    elif isinstance(part, str):
        yield base64.b64decode(part).decode(errors="replace") if name == "data" else part
