"""Lighthouse on the main pages: accessibility and best practices. `make check-lighthouse` installs it."""

import asyncio
import json
import os
from pathlib import Path

import httpx
import pytest

from devenv.stack import Running
from tests.api.people import PASSWORD, Person
from tests.runbook.web_ui import browser

LIGHTHOUSE = Path(__file__).parent / "lighthouse" / "node_modules" / ".bin" / "lighthouse"
CATEGORIES = ("accessibility", "best-practices")
LEAST = 0.95
OPEN = ("", "/login", "/register")
OWN = ("/dashboard", "/transfer", "/transactions", "/batches/new", "/standing-orders/new", "/limits")
STAFF = ("/staff", "/staff/reviews", "/staff/transactions")

pytestmark = pytest.mark.skipif(not LIGHTHOUSE.exists(), reason="`make check-lighthouse` installs Lighthouse")


async def cookies(url: str, person: Person) -> str:
    async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
        answer = await client.post("/v1/auth/browser/login", json={"email": person.email, "password": PASSWORD})
        assert answer.is_success, answer.text
        return "; ".join(f"{name}={value}" for name, value in client.cookies.items())


async def scores(url: str, cookie: str | None, report: Path) -> dict[str, float]:
    headers = ["--extra-headers", json.dumps({"Cookie": cookie})] if cookie else []
    flags = "--headless=new --disable-gpu" + (" --no-sandbox" if os.geteuid() == 0 else "")
    run = await asyncio.create_subprocess_exec(
        str(LIGHTHOUSE),
        url,
        f"--only-categories={','.join(CATEGORIES)}",
        f"--chrome-flags={flags}",
        "--preset=desktop",
        "--output=json",
        f"--output-path={report}",
        "--quiet",
        *headers,
        env=os.environ | {"CHROME_PATH": browser()},
    )
    assert await asyncio.wait_for(run.wait(), timeout=120) == 0
    found = json.loads(report.read_text())
    assert found["finalDisplayedUrl"] == url, "it was led elsewhere"
    return {name: found["categories"][name]["score"] for name in CATEGORIES}


async def test_lighthouse_gives_the_main_pages_at_least_95(
    stack: Running, admin: Person, ada: Person, tmp_path: Path
) -> None:
    visits: list[tuple[str, str | None]] = [(path, None) for path in OPEN]
    visits += [(path, await cookies(stack.api_url, ada)) for path in OWN]
    visits += [(path, await cookies(stack.api_url, admin)) for path in STAFF]
    low = []
    for path, cookie in visits:
        found = await scores(f"{stack.api_url}/app{path}", cookie, tmp_path / "report.json")
        print(path or "/", {name: round(100 * score) for name, score in found.items()})
        if min(found.values()) < LEAST:
            low.append((path, found))
    assert low == []
