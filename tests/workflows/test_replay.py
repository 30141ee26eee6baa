"""Transfers in flight survive a new version of the code: it replays every recorded history."""

import json
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from tests.histories.record import Paths
from worker import WORKFLOWS

HISTORIES = Path(__file__).resolve().parents[1] / "histories"
RECORDED = sorted(HISTORIES.glob("*/*.json"))


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: f"{path.parent.name}-{path.stem}")
async def test_a_recorded_history_replays(path: Path) -> None:
    history = WorkflowHistory.from_json(path.stem, json.loads(path.read_text()))
    await Replayer(workflows=WORKFLOWS).replay_workflow(history)


def test_every_path_of_the_saga_is_recorded() -> None:
    newest = max((path.parent for path in RECORDED), key=lambda folder: int(folder.name))
    assert {path.stem for path in newest.glob("*.json")} == {name for name in vars(Paths) if not name.startswith("_")}
