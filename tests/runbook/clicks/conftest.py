"""Temporal's Web UI in a browser."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser

from devenv.stack import Running
from tests.runbook.web_ui import WebUI, running_browser, web_ui


@pytest.fixture(scope="session")
async def chromium() -> AsyncIterator[Browser]:
    async with running_browser() as chromium:
        yield chromium


@pytest.fixture
async def ui(chromium: Browser, stack: Running, screenshots: Path) -> AsyncIterator[WebUI]:
    assert stack.temporal_ui_url is not None
    async with web_ui(chromium, stack.temporal_ui_url, screenshots) as ui:
        yield ui
