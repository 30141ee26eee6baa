"""Somebody at the pages, in a browser of their own, and what axe and the console say about what they see."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page

from tests.api.people import PASSWORD, Person
from tests.waiting import until

PATIENCE_MS = 15_000
# A loader turns for as long as it is there.
NOTHING_FADES = (
    "document.getAnimations().every(({playState, effect}) => "
    "playState !== 'running' || effect.getComputedTiming().endTime === Infinity)"
)
AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"

# A small laptop, the dark theme, and the smallest phone that these pages are drawn for.
LOOKS: Mapping[str, Mapping[str, Any]] = {
    "light": {"viewport": {"width": 1200, "height": 800}, "device_scale_factor": 0.75, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1200, "height": 800}, "device_scale_factor": 0.75, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 360, "height": 740}, "color_scheme": "light"},
}


class Visitor:
    """One browser window. Whatever its pages report as an error is in `errors`."""

    def __init__(self, context: BrowserContext, page: Page, url: str) -> None:
        self.context = context
        self.page = page
        self.url = url
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._note)

    def _note(self, said: ConsoleMessage) -> None:
        # The browser itself reports each 4xx; the pages handle those.
        if said.type == "error" and "Failed to load resource" not in said.text:
            self.errors.append(said.text)

    async def sign_in(self, person: Person) -> None:
        """Without the page, which has a test of its own."""
        answer = await self.context.request.post(
            f"{self.url}/v1/auth/browser/login", data={"email": person.email, "password": PASSWORD}
        )
        assert answer.ok, await answer.text()

    async def open(self, path: str, heading: str) -> None:
        await self.page.goto(f"{self.url}/app{path}")
        await self.sees(heading)

    async def sees(self, heading: str) -> None:
        await self.page.get_by_role("heading", name=heading, level=1).wait_for()

    async def settled(self) -> None:
        """Until nothing is loading any more."""
        await self.page.wait_for_load_state("networkidle")

        async def is_read() -> bool:
            return bool(await self.page.get_by_label("Loading", exact=True).count() == 0)

        await until(is_read, "the page has what it reads")

    async def click(self, button: str) -> None:
        await self.page.get_by_role("button", name=button).click()

    async def reads(self, text: str) -> None:
        await self.page.get_by_text(text).first.wait_for()

    async def reads_state(self, title: str) -> None:
        """How a transfer stands, on its page. A notification about it says the same in a sentence."""
        await self.page.get_by_role("status").get_by_text(title, exact=True).wait_for()

    async def violations(self) -> list[str]:
        """What axe finds on the page as it is: rules of WCAG and best practices."""

        async def is_still() -> bool:
            return bool(await self.page.evaluate(NOTHING_FADES))

        # What fades in or out has the colours of neither.
        await until(is_still, "nothing fades any more")
        if not await self.page.evaluate("'axe' in window"):
            await self.page.evaluate(AXE.read_text() + ";0")
        found = await self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [f"{each['id']} ({each['impact']}): {each['nodes'][0]['html'][:200]}" for each in found["violations"]]

    async def overflow(self) -> int:
        """How many pixels the page is wider than the window."""
        return int(await self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth"))

    async def weight(self) -> int:
        """How many bytes of the pages' own files the page has loaded, compressed as they came."""
        return int(
            await self.page.evaluate(
                "performance.getEntriesByType('resource').filter(({name}) => name.includes('/app/'))"
                ".reduce((bytes, {encodedBodySize}) => bytes + encodedBodySize, 0)"
            )
        )


@asynccontextmanager
async def visiting(chromium: Browser, url: str, look: str = "light") -> AsyncIterator[Visitor]:
    context = await chromium.new_context(
        locale="en-US", timezone_id="Asia/Kolkata", reduced_motion="reduce", **LOOKS[look]
    )
    context.set_default_timeout(PATIENCE_MS)
    try:
        yield Visitor(context, await context.new_page(), url)
    finally:
        await context.close()
