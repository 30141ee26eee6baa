"""Claims about `remit demo`: every claim in it holds, and one that does not is reported."""

import re
import socket
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from cli.migrate import prepare
from devenv.demo.command import run_demo
from devenv.demo.output import DemoOutput
from devenv.home import Home, RunRecord, live_run
from devenv.stack import Stack
from settings import Settings
from workflows.search_attributes import SEARCH_ATTRIBUTE_TYPES

pytestmark = pytest.mark.system

Captured = pytest.CaptureFixture[str]


async def test_every_claim_of_the_demo_holds_on_a_fresh_home_also_where_a_port_is_in_use(
    settings: Settings, capsys: Captured, tmp_path: Path
) -> None:
    said: list[str] = []
    with socket.create_server(("127.0.0.1", settings.api_port)):
        assert await run_demo(settings, prepare, said.append, save_svg=tmp_path / "demo.svg"), capsys.readouterr().out
    printed = capsys.readouterr().out
    for claim in (
        "Exactly $1,255.00 left Ada and reached Ben",
        "The repeat returns the first transfer, with Idempotent-Replayed: true",
        "The same key with another amount is refused: 422",
        "A notification of this transfer arrived at Ben's open socket",
        "The transfer failed with insufficient_funds",
        "The transfer failed with limit_exceeded",
        "The transfer failed with fraud_declined",
        "Ben's account has an open case, for the third withdrawal",
        "Money came in, and none left",
        "After another document was verified, the same transfer completes",
        "The transfer is compensated, with the reason account_frozen",
        "The books balance even now: $100.00 is in transit, accounted for to the cent",
        "Exactly $100.00 moved, once",
        "After 2 failures the shop has its event, signed, with the id of the first attempt",
        "It has each debit of Ada's account once, in the order of her statement",
        "Every invariant holds",
    ):
        assert f"✓ {claim}\n" in printed
    assert "✗" not in printed
    assert "\x1b" not in printed
    assert "/namespaces/default/workflows/transfer%2Fcus_" in printed
    assert f"REMIT_HOME={settings.home} " in printed
    assert any(f"port {settings.api_port} for the API is in use" in line for line in said)
    assert said[-1] == "starting the API and its worker"
    assert live_run(settings.home) is None
    ET.parse(tmp_path / "demo.svg")


@pytest.mark.long
async def test_the_demo_uses_a_running_stack_leaves_it_running_and_reports_a_claim_that_does_not_hold(
    settings: Settings, capsys: Captured
) -> None:
    generous = settings.model_copy(update={"decline_from_major": 20_000})
    stack = Stack(generous, prepare, search_attributes=SEARCH_ATTRIBUTE_TYPES)
    async with stack.running() as running:
        before = dict(running.pids)
        assert not await run_demo(settings, prepare, print)
        assert running.pids == before
    printed = capsys.readouterr().out
    assert (
        "✗ The transfer failed with fraud_declined: expected failed, fraud_declined, found completed, nothing"
        in printed
    )
    assert re.search(r"^\d of \d\d claims did not hold", printed, re.MULTILINE)


async def test_a_stack_that_does_not_answer_ends_the_demo(settings: Settings, capsys: Captured) -> None:
    home = Home(settings.home)
    home.make()
    nowhere = f"127.0.0.1:{settings.api_port}"
    with home.held():
        home.write_run(RunRecord(f"http://{nowhere}", nowhere, None, f"postgresql://remit@{nowhere}/remit", {}))
        assert not await run_demo(settings, prepare, print)
    assert f"✗ The demo stops here: http://{nowhere} does not answer" in capsys.readouterr().out


def test_a_claim_that_does_not_hold_is_printed_with_the_expected_and_the_found_value(capsys: Captured) -> None:
    output = DemoOutput()
    output.step("A step")
    output.check("One is one", expected=1, found=1)
    assert output.held
    output.check("One is two", expected=2, found=1)
    assert not output.held
    assert capsys.readouterr().out == "\n1  A step\n   ✓ One is one\n   ✗ One is two: expected 2, found 1\n"
