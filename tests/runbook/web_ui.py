"""Clicks in Temporal's Web UI. Buttons are found by the words that the pages use, too."""

import os
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

from playwright.async_api import Browser, Error, Frame, Locator, Page, async_playwright
from playwright.async_api import TimeoutError as NotSeen

from tests.runbook.commands import Runbook
from tests.waiting import until

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PATIENCE_MS = 15_000
REASON = "ticket 4711"


def browser() -> str:
    named = os.environ.get("REMIT_CHROMIUM")
    found = named or next(filter(None, map(shutil.which, BROWSERS)), None)
    assert found, f"The clicks need a browser: install one of {', '.join(BROWSERS)}, or name one in REMIT_CHROMIUM."
    return found


@asynccontextmanager
async def running_browser() -> AsyncIterator[Browser]:
    """The browser of this machine, without a screen."""
    arguments = ["--disable-gpu", "--disable-background-networking", "--no-first-run"]
    if os.geteuid() == 0:
        arguments.append("--no-sandbox")
    async with async_playwright() as hands:
        chromium = await hands.chromium.launch(executable_path=browser(), args=arguments)
        try:
            yield chromium
        finally:
            await chromium.close()


@asynccontextmanager
async def web_ui(chromium: Browser, url: str, screenshots: Path) -> AsyncIterator["WebUI"]:
    """The Web UI in a fresh window. Screenshots go to a folder, for people."""
    window = await chromium.new_context(viewport={"width": 1500, "height": 1100}, locale="en-US")
    try:
        page = await window.new_page()
        page.set_default_timeout(PATIENCE_MS)
        yield WebUI(page, f"{url}/namespaces/default", screenshots)
    finally:
        await window.close()


class WebUI:
    """One window. A check fails if something does not appear within some seconds."""

    def __init__(self, page: Page, url: str, screenshots: Path) -> None:
        self.page = page
        self._url = url
        self._screenshots = screenshots

    async def picture(self, name: str) -> None:
        path = self._screenshots / f"temporal-{name}.jpg"
        await self.page.screenshot(path=path, type="jpeg", quality=70, animations="disabled")

    async def list_by(self, query: str, finds: str) -> None:
        """Open the list with this filter, as a bookmark does, and wait until it shows the workflow."""
        await self.page.goto(f"{self._url}/workflows?query={quote(query)}")
        row = self.page.get_by_role("link", name=finds).first
        await self._until_listed(row, f"{query} does not show {finds}")

    async def open(self, workflow_id: str) -> None:
        """Open the workflow's latest run by its address."""
        await self.page.goto(f"{self._url}/workflows/{quote(workflow_id, safe='')}")
        await self.page.get_by_role("button", name="More Actions").wait_for()

    async def actions(self) -> list[str]:
        """The entries of **More Actions**."""
        offered: str = await (await self._menu("More Actions")).inner_text()
        return offered.split("\n")

    async def choose(self, action: str) -> Locator:
        """Choose an entry of **More Actions** and return its dialog."""
        await (await self._menu("More Actions")).get_by_text(action, exact=True).click()
        return await self._dialog(action)

    async def request_cancellation(self) -> None:
        await self.page.get_by_role("button", name="Request Cancellation").click()
        dialog = await self._dialog("Cancel Workflow")
        await dialog.get_by_role("button", name="Confirm").click()
        await dialog.wait_for(state="hidden")

    async def terminate(self, reason: str) -> None:
        dialog = await self.choose("Terminate")
        await dialog.get_by_role("textbox").fill(reason)
        await dialog.get_by_role("button", name="Terminate").click()
        await dialog.wait_for(state="hidden")

    async def reset(self, reason: str, *, to_the_last: bool = False, excluding: Sequence[str] = ()) -> None:
        """Reset to the first event in the list, or to the last one, with these boxes ticked.

        A workflow that has ended has a separate button for it.
        """
        button = self.page.get_by_role("button", name="Reset", exact=True)
        if await button.count():
            await button.click()
            dialog = await self._dialog("Reset")
        else:
            dialog = await self.choose("Reset")
        await dialog.get_by_test_id("workflow-reset-event-id-select-button").click()
        events = dialog.get_by_role("option")
        await (events.last if to_the_last else events.first).click()
        for kind in excluding:
            await dialog.get_by_text(f"Exclude {kind} that happened after the Reset point.").click()
        await dialog.get_by_test_id("reset-reason").fill(reason)
        await self.picture("reset")
        await dialog.get_by_role("button", name="Confirm").click()
        await dialog.wait_for(state="hidden")

    async def update(self, name: str, data: str) -> Locator:
        """Fill in **Send an Update** and return the dialog; nothing is sent yet."""
        dialog = await self.choose("Send an Update")
        await dialog.get_by_test_id("update-select-button").click()
        await dialog.get_by_role("option", name=name).click()
        await dialog.get_by_role("textbox").last.click()
        await self.page.keyboard.insert_text(data)
        return dialog

    async def send(self, dialog: Locator) -> None:
        """Press **Submit**, and again if the first press only reformatted the data."""
        for _ in range(2):
            await dialog.get_by_role("button", name="Submit").click()
            try:
                await dialog.wait_for(state="hidden", timeout=PATIENCE_MS / 5)
            except NotSeen:
                continue
            else:
                return
        await dialog.wait_for(state="hidden")

    async def refusal(self, dialog: Locator) -> str:
        """The first line of the dialog after a refused update."""
        alert = dialog.get_by_role("alert")
        for _ in range(2):
            await dialog.get_by_role("button", name="Submit").click()
            try:
                await alert.filter(has_text=" ").wait_for(timeout=PATIENCE_MS / 5)
            except NotSeen:
                continue
            else:
                break
        output: str = await alert.inner_text()
        return output.splitlines()[0]

    async def user_metadata(self, shows: str) -> None:
        """Open the tab and reload it (key R) until it shows this. The texts are in frames."""
        await self.page.get_by_role("tab", name="User Metadata").click()

        async def is_shown() -> bool:
            await self.page.keyboard.press("R")
            return any([shows in await _text(frame) for frame in self.page.frames])

        await until(is_shown, f"User Metadata shows {shows}")

    async def tab(self, name: str, shows: str) -> None:
        await self.page.get_by_role("tab", name=name).click()
        await self.page.get_by_text(shows).first.wait_for()

    async def query(self, shows: str) -> None:
        """Run the selected query under **Queries**."""
        await self.page.get_by_role("tab", name="Queries").click()
        await self.page.get_by_role("button", name="Run Query").click()
        await self.page.get_by_text(shows).first.wait_for()

    async def filter_by(self, attribute: str, value: str, finds: str) -> None:
        """Add a filter under **Workflows** and wait until the list shows the workflow."""
        row = self.page.get_by_role("link", name=finds).first
        await self.page.goto(f"{self._url}/workflows")
        await self.page.get_by_role("button", name="Add Filter").click()
        await self.page.get_by_role("menuitem", name=attribute).click()
        await self.page.get_by_placeholder("Enter value...").fill(value)
        await self.page.get_by_role("button", name="Apply").click()
        await self.page.get_by_role("button", name=attribute).wait_for()
        await self._until_listed(row, f"{attribute} {value} does not show {finds}")

    async def add_column(self, name: str) -> None:
        """Add a column: the gear under the list, and **+** beside the name."""
        await self.page.get_by_test_id("workflows-summary-table-configuration-button").click()
        await self.page.get_by_text("Configure Workflows Table").wait_for()
        await self.page.get_by_role("button", name=name).click()
        await self.page.keyboard.press("Escape")
        await self.page.get_by_role("columnheader", name=name).wait_for()

    async def deployment(self, name: str) -> None:
        """Open **Deployments** and this deployment."""
        await self.page.goto(f"{self._url}/workflows")
        await self.page.get_by_role("link", name="Deployments").click()
        await self.page.get_by_role("heading", name="Worker Deployments").wait_for()
        await self.picture("deployments")
        await self.page.get_by_role("link", name=name, exact=True).click()
        await self.page.get_by_role("heading", name=name, exact=True).wait_for()

    async def schedule(self) -> None:
        """Open the schedule `recovery`."""
        await self.page.goto(f"{self._url}/workflows")
        await self.page.get_by_role("link", name="Schedules").click()
        await self.page.get_by_role("link", name="recovery").first.click()
        await self.page.get_by_role("heading", name="Recent Runs").wait_for()

    async def trigger(self) -> None:
        await (await self._menu("Schedule Actions")).get_by_text("Trigger", exact=True).click()
        dialog = await self._dialog("Trigger")
        await dialog.get_by_role("button", name="Trigger").click()
        await dialog.wait_for(state="hidden")

    async def pause(self, button: str, reason: str) -> None:
        """Press **Pause** or **Unpause** of a schedule or of a pending activity. Only some dialogs ask for a reason."""
        await self.page.get_by_role("button", name=button, exact=True).click()
        dialog = await self._dialog(button)
        if await dialog.get_by_role("textbox").count():
            await dialog.get_by_role("textbox").fill(reason)
        await self.picture(button.lower())
        await dialog.get_by_role("button", name=button, exact=True).click()
        await dialog.wait_for(state="hidden")

    async def _menu(self, button: str) -> Locator:
        """Open a button's menu. A page that redraws at that moment closes it, so the button is pressed again."""
        menu = self.page.get_by_role("menu")
        for _ in range(3):
            await self.page.get_by_role("button", name=button).click()
            try:
                await menu.wait_for(timeout=PATIENCE_MS / 5)
            except NotSeen:
                continue
            break
        return menu

    async def _until_listed(self, row: Locator, otherwise: str) -> None:
        """Reload the list until it shows the row: Temporal's list lags."""
        for _ in range(10):
            await self.page.get_by_role("heading", name="Workflow").first.wait_for()
            await self.page.wait_for_load_state("networkidle")
            if await row.count():
                return
            await self.page.reload()
        raise AssertionError(otherwise)

    async def _dialog(self, title: str) -> Locator:
        dialog = self.page.get_by_role("dialog").filter(has_text=title)
        await dialog.wait_for()
        return dialog


async def _text(frame: Frame) -> str:
    """The text of a frame, or nothing if the page has just replaced it."""
    try:
        shown: str = await frame.locator("body").inner_text()
    except Error:
        return ""
    return shown


def on_page(runbook: Runbook, data: str, **who: str) -> str:
    """The JSON that the page gives to type, with this person's id."""
    assert data in runbook.page
    return data.replace("cus_…", who["by"])
