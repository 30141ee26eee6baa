"""The tutorial's commands, run in one shell as a reader runs them."""

import asyncio
import json
import re
from pathlib import Path

import httpx
import pytest

from devenv.stack import Running

pytestmark = pytest.mark.system

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = DOCS / "start" / "tutorial.md"
BLOCK = re.compile(r"^```bash\n(.*?)^```$", re.DOTALL | re.MULTILINE)


async def test_the_tutorial_ends_with_a_reversed_transfer(stack: Running) -> None:
    script = "\n".join(BLOCK.findall(PAGE.read_text()))
    assert "http://127.0.0.1:8000" in script
    shell = await asyncio.create_subprocess_exec(
        "bash",
        "-euo",
        "pipefail",
        "-c",
        script.replace("http://127.0.0.1:8000", stack.api_url),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    printed = (await asyncio.wait_for(shell.communicate(), 60))[0].decode()
    assert shell.returncode == 0, printed
    assert printed.count("idempotent-replayed: true") == 1, printed
    assert "HTTP/1.1 422" in printed
    assert '"code": "insufficient_funds"' in printed
    assert '"kind": "reversal"' in printed
    assert '"left_amount": 120000' in printed


async def test_the_embedded_stack_shows_the_contract_that_is_committed(http: httpx.AsyncClient) -> None:
    assert (await http.get("/docs")).status_code == 200
    assert (await http.get("/openapi.json")).json() == json.loads((DOCS / "openapi.json").read_text())
