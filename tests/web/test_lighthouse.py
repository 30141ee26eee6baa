"""Lighthouse on every page: accessibility and best practices. `make check-lighthouse` installs it."""

import asyncio
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest

from devenv.stack import Running
from tests.api.people import PASSWORD, Person, register
from tests.runbook.web_ui import browser
from tests.web.test_staff_pages import PAGES

LIGHTHOUSE = Path(__file__).parent / "lighthouse" / "node_modules" / ".bin" / "lighthouse"
CATEGORIES = ("accessibility", "best-practices")
LEAST = 95
FRESH_SECONDS = 600
OPEN = ("", "/login", "/register", "/reset-password")
OWN = (
    "/dashboard",
    "/transfer",
    "/transactions",
    "/standing-orders",
    "/standing-orders/new",
    "/batches",
    "/batches/new",
    "/statements",
    "/disputes",
    "/limits",
    "/notifications",
    *(f"/settings{section}" for section in ("", "?section=security", "?section=keys", "?section=webhooks")),
)
STAFF = tuple(path for _, path, _, _ in PAGES)

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
    assert await asyncio.wait_for(run.wait(), timeout=150) == 0
    found = json.loads(report.read_text())
    assert found["finalDisplayedUrl"] == url, "it was led elsewhere"
    return {name: 100 * found["categories"][name]["score"] for name in CATEGORIES}


class Sessions:
    """Sign-ins of those who read the pages. An access token holds for 15 minutes, less than all pages take."""

    def __init__(self, url: str, people: Mapping[str, Person]) -> None:
        self._url = url
        self._people = people
        self._made: dict[str, tuple[float, str]] = {}

    async def cookie(self, reader: str) -> str | None:
        """None: for everybody."""
        if reader not in self._people:
            return None
        made_at, cookie = self._made.get(reader, (0.0, ""))
        if not cookie or time.monotonic() > made_at + FRESH_SECONDS:
            cookie = await cookies(self._url, self._people[reader])
            self._made[reader] = (time.monotonic(), cookie)
        return cookie


@pytest.fixture(scope="session")
async def sessions(stack: Running, admin: Person, http: httpx.AsyncClient) -> Sessions:
    return Sessions(stack.api_url, {"own": await register(http, full_name="Ada Obi"), "staff": admin})


# A page takes 10 to 30 seconds.
@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("reader", "path"),
    [(reader, path) for reader, paths in (("open", OPEN), ("own", OWN), ("staff", STAFF)) for path in paths],
)
async def test_lighthouse_gives_a_page_at_least_95(
    reader: str, path: str, stack: Running, sessions: Sessions, tmp_path: Path
) -> None:
    report = tmp_path / "report.json"
    found = await scores(f"{stack.api_url}/app{path}", await sessions.cookie(reader), report)
    print(f"\n{path or '/'}: {', '.join(f'{name} {score:.0f}' for name, score in found.items())}")
    assert min(found.values()) >= LEAST, lacking(report)


def lacking(report: Path) -> list[str]:
    """What a page loses points for."""
    audits = json.loads(report.read_text())["audits"].values()
    return [f"{each['id']}: {each['title']}" for each in audits if each["score"] is not None and each["score"] < 1]
