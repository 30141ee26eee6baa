"""A sink of an installed package gets every event: `example_package` beside this file."""

import json
import sys
import tomllib
from pathlib import Path

import pytest

from database.connections import Database
from event_tasks import sinks_from
from events.installed_sinks import installed_sinks
from events.postgres.dead_letters import DeadLetters
from settings import Settings
from tests.events.sinks import delivered, emit, running

PACKAGE = Path(__file__).parent / "example_package"


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The package, as an installer leaves it: its module on the path, and its metadata beside it."""
    project = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]
    metadata = tmp_path / f"event_journal-{project['version']}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Name: {project['name']}\nVersion: {project['version']}\n")
    offered = project["entry-points"]["remit.sinks"]
    lines = ["[remit.sinks]", *(f"{name} = {value}" for name, value in offered.items()), "broken = event_journal:gone"]
    (metadata / "entry_points.txt").write_text("\n".join(lines))
    (tmp_path / "event_journal.py").write_text((PACKAGE / "event_journal.py").read_text())
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "event_journal", raising=False)
    monkeypatch.setenv("EVENT_JOURNAL", str(tmp_path / "events.jsonl"))
    return tmp_path / "events.jsonl"


async def test_a_sink_of_an_installed_package_gets_every_event_and_its_refusals_are_dead_letters(
    database: Database, journal: Path
) -> None:
    (sink,) = [sink for sink in sinks_from(Settings(), database) if sink.name == "journal"]
    await emit(database, "whe_1", "whe_2")
    await emit(database, "whe_3", data=json.dumps({"text": "x" * 10_000}))
    async with running(database, sink):
        await delivered(database, "journal")
        await emit(database, "whe_4")
        await delivered(database, "journal")
    subjects = [json.loads(line)["subject"] for line in journal.read_text().splitlines()]
    assert [subject for subject in subjects if subject.startswith("whe_")] == ["whe_1", "whe_2", "whe_4"]
    assert await DeadLetters(database).counts() == {"journal": 1}


def test_a_broken_sink_of_a_package_is_named_and_keeps_no_other_from_running(journal: Path) -> None:
    found, unusable = installed_sinks()
    assert [sink.name for sink in found] == ["journal"]
    (broken,) = unusable
    assert broken.name == "broken"
    assert broken.reason.startswith("AttributeError: ")
    taken, unusable = installed_sinks(["journal"])
    assert (taken, len(unusable)) == ([], 2)


def test_a_sink_that_is_not_configured_is_off(journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EVENT_JOURNAL")
    assert installed_sinks()[0] == []
