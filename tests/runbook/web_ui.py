"""Temporal's Web UI under somebody's hands: what is pressed is found by the words that the page and the screen share."""

import os
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

from playwright.async_api import Browser, Error, Frame, Locator, Page, async_playwright
from playwright.async_api import TimeoutError as NotSeen

from tests.waiting import until

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PATIENCE_MS = 15_000


def browser() -> str:
    named = os.environ.get("REMIT_CHROMIUM")
    found = named or next(filter(None, map(shutil.which, BROWSERS)), None)
    assert found, f"The clicks need a browser: install one of {', '.join(BROWSERS)}, or name one in REMIT_CHROMIUM."
    return found


@asynccontextmanager
async def running_browser() -> AsyncIterator[Browser]:
    """The machine's own, without a screen."""
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
    """The Web UI in a window that remembers nothing. Pictures go to a folder, for people to look at."""
    window = await chromium.new_context(viewport={"width": 1500, "height": 1100}, locale="en-US")
    try:
        page = await window.new_page()
        page.set_default_timeout(PATIENCE_MS)
        yield WebUI(page, f"{url}/namespaces/default", screenshots)
    finally:
        await window.close()


class WebUI:
    """One window. What is not on the screen within some seconds fails the check."""

    def __init__(self, page: Page, url: str, screenshots: Path) -> None:
        self.page = page
        self._url = url
        self._screenshots = screenshots

    async def picture(self, name: str) -> None:
        await self.page.screenshot(path=self._screenshots / f"{name}.png")

    async def list_by(self, query: str, finds: str) -> None:
        """The list by a filter, as a bookmark has it, once it shows what is looked for."""
        await self.page.goto(f"{self._url}/workflows?query={quote(query)}")
        row = self.page.get_by_role("link", name=finds).first
        await self._until_listed(row, f"{query} does not show {finds}")

    async def open(self, workflow_id: str) -> None:
        """By its address: the latest run."""
        await self.page.goto(f"{self._url}/workflows/{quote(workflow_id, safe='')}")
        await self.page.get_by_role("button", name="More Actions").wait_for()

    async def actions(self) -> list[str]:
        """What **More Actions** offers."""
        offered: str = await (await self._menu("More Actions")).inner_text()
        return offered.split("\n")

    async def choose(self, action: str) -> Locator:
        """An entry of **More Actions**, and the dialog that it opens."""
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
        """To the first event that is offered, or to the last one, with these boxes ticked.

        What has ended has a button of its own for it.
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
        """**Send an Update**, filled in; the dialog, before anything was sent."""
        dialog = await self.choose("Send an Update")
        await dialog.get_by_test_id("update-select-button").click()
        await dialog.get_by_role("option", name=name).click()
        await dialog.get_by_role("textbox").last.click()
        await self.page.keyboard.insert_text(data)
        return dialog

    async def send(self, dialog: Locator) -> None:
        """**Submit**, once more where the first press only laid out the data anew."""
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
        """What the dialog says where the update is refused, its first line."""
        alert = dialog.get_by_role("alert")
        for _ in range(2):
            await dialog.get_by_role("button", name="Submit").click()
            try:
                await alert.filter(has_text=" ").wait_for(timeout=PATIENCE_MS / 5)
            except NotSeen:
                continue
            else:
                break
        said: str = await alert.inner_text()
        return said.splitlines()[0]

    async def user_metadata(self, shows: str) -> None:
        """The tab, once it has been read again (with the key R) and shows this; the texts stand in frames."""
        await self.page.get_by_role("tab", name="User Metadata").click()

        async def is_shown() -> bool:
            await self.page.keyboard.press("R")
            return any([shows in await _text(frame) for frame in self.page.frames])

        await until(is_shown, f"User Metadata shows {shows}")

    async def tab(self, name: str, shows: str) -> None:
        await self.page.get_by_role("tab", name=name).click()
        await self.page.get_by_text(shows).first.wait_for()

    async def query(self, shows: str) -> None:
        """**Queries**, the one that is chosen already, **Run Query**."""
        await self.page.get_by_role("tab", name="Queries").click()
        await self.page.get_by_role("button", name="Run Query").click()
        await self.page.get_by_text(shows).first.wait_for()

    async def filter_by(self, attribute: str, value: str, finds: str) -> None:
        """**Workflows**, **Add Filter**, the attribute and its value, once the list shows what is looked for."""
        row = self.page.get_by_role("link", name=finds).first
        await self.page.goto(f"{self._url}/workflows")
        await self.page.get_by_role("button", name="Add Filter").click()
        await self.page.get_by_role("menuitem", name=attribute).click()
        await self.page.get_by_placeholder("Enter value...").fill(value)
        await self.page.get_by_role("button", name="Apply").click()
        await self.page.get_by_role("button", name=attribute).wait_for()
        await self._until_listed(row, f"{attribute} {value} does not show {finds}")

    async def add_column(self, name: str) -> None:
        """The gear under the list, and **+** beside the name."""
        await self.page.get_by_test_id("workflows-summary-table-configuration-button").click()
        await self.page.get_by_text("Configure Workflows Table").wait_for()
        await self.page.get_by_role("button", name=name).click()
        await self.page.keyboard.press("Escape")
        await self.page.get_by_role("columnheader", name=name).wait_for()

    async def deployment(self, name: str) -> None:
        """**Deployments**, and its name in the list."""
        await self.page.goto(f"{self._url}/workflows")
        await self.page.get_by_role("link", name="Deployments").click()
        await self.page.get_by_role("heading", name="Worker Deployments").wait_for()
        await self.picture("deployments")
        await self.page.get_by_role("link", name=name, exact=True).click()
        await self.page.get_by_role("heading", name=name, exact=True).wait_for()

    async def schedule(self) -> None:
        """**Schedules**, `recovery`."""
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
        """**Pause** or **Unpause**, of a schedule or of a pending activity. Not each asks for a reason."""
        await self.page.get_by_role("button", name=button, exact=True).click()
        dialog = await self._dialog(button)
        if await dialog.get_by_role("textbox").count():
            await dialog.get_by_role("textbox").fill(reason)
        await self.picture(button.lower())
        await dialog.get_by_role("button", name=button, exact=True).click()
        await dialog.wait_for(state="hidden")

    async def _menu(self, button: str) -> Locator:
        """What a button opens. A page that is drawn anew at that moment closes it again, so it is pressed again."""
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
        """Temporal's list lags, so it is read again some times."""
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
    """What a frame shows; nothing where it has just been replaced."""
    try:
        shown: str = await frame.locator("body").inner_text()
    except Error:
        return ""
    return shown
