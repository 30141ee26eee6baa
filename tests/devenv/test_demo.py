"""Claims about `remit demo`: its story holds, and it says so when it does not."""

import re
import socket
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from cli import prepare
from devenv.demo.command import tell
from devenv.demo.narration import Narration
from devenv.home import Home, RunRecord, live_run
from devenv.stack import Stack
from settings import Settings
from workflows.search_attributes import SEARCH_ATTRIBUTE_TYPES

Captured = pytest.CaptureFixture[str]


async def test_the_story_holds_on_a_fresh_home_also_where_a_port_is_taken(
    settings: Settings, capsys: Captured, tmp_path: Path
) -> None:
    said: list[str] = []
    with socket.create_server(("127.0.0.1", settings.api_port)):
        assert await tell(settings, prepare, said.append, save_svg=tmp_path / "demo.svg"), capsys.readouterr().out
    told = capsys.readouterr().out
    for claim in (
        "Exactly $1,255.00 left Ada and reached Ben",
        "The repeat gets the first transfer, with Idempotent-Replayed: true",
        "The key with another amount is a mistake of the client: 422",
        "The transfer has failed with insufficient_funds",
        "The transfer has failed with fraud_declined",
        "The transfer is compensated, and says why",
        "The books hold even now: $100.00 in transit, accounted for to the cent",
        "$100.00 moved, once",
        "Every invariant holds",
    ):
        assert f"✓ {claim}\n" in told
    assert "✗" not in told
    assert "\x1b" not in told
    assert "/namespaces/default/workflows/transfer%2Fcus_" in told
    assert f"REMIT_HOME={settings.home} " in told
    assert any(f"port {settings.api_port} for the API is taken" in line for line in said)
    assert said[-1] == "starting the API and its worker"
    assert live_run(settings.home) is None
    ET.parse(tmp_path / "demo.svg")


@pytest.mark.long
async def test_a_running_stack_is_used_and_lives_on_and_a_claim_that_does_not_hold_is_told(
    settings: Settings, capsys: Captured
) -> None:
    generous = settings.model_copy(update={"decline_from_major": 20_000})
    stack = Stack(generous, prepare, search_attributes=SEARCH_ATTRIBUTE_TYPES)
    async with stack.running() as running:
        before = dict(running.pids)
        assert not await tell(settings, prepare, print)
        assert running.pids == before
    told = capsys.readouterr().out
    assert (
        "✗ The transfer has failed with fraud_declined: expected failed, fraud_declined, found completed, nothing"
        in told
    )
    assert re.search(r"^\d of \d\d claims did not hold", told, re.MULTILINE)


async def test_a_stack_that_does_not_answer_ends_the_story(settings: Settings, capsys: Captured) -> None:
    home = Home(settings.home)
    home.make()
    nowhere = f"127.0.0.1:{settings.api_port}"
    with home.held():
        home.write_run(RunRecord(f"http://{nowhere}", nowhere, None, f"postgresql://remit@{nowhere}/remit", {}))
        assert not await tell(settings, prepare, print)
    assert f"✗ The story breaks off: http://{nowhere} does not answer" in capsys.readouterr().out


def test_a_claim_that_does_not_hold_is_told_with_what_was_expected_and_found(capsys: Captured) -> None:
    narration = Narration()
    narration.step("A step")
    narration.check("One is one", expected=1, found=1)
    assert narration.held
    narration.check("One is two", expected=2, found=1)
    assert not narration.held
    assert capsys.readouterr().out == "\n1  A step\n   ✓ One is one\n   ✗ One is two: expected 2, found 1\n"
