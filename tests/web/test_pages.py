"""Every page as a customer sees it: in both themes and at 360 pixels, with nothing that axe objects to.

`make screenshots` keeps what they look like in docs/pages/.
"""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Browser

from devenv.stack import Running
from tests.api.people import Person, register
from tests.web.conftest import deposited
from tests.web.visitor import LOOKS, Visitor, visiting

# Name, path, heading.
OPEN = (
    ("landing", "", "Send money, and always know where it is."),
    ("login", "/login", "Sign in"),
    ("register", "/register", "Open an account"),
    ("reset-password", "/reset-password", "Another password"),
)
OWN = (
    ("dashboard", "/dashboard", "Dashboard"),
    ("transfer", "/transfer", "Send money"),
    ("transactions", "/transactions", "Transactions"),
    ("notifications", "/notifications", "Notifications"),
    ("settings-you", "/settings", "Settings"),
    ("settings-security", "/settings?section=security", "Settings"),
    ("settings-notifications", "/settings?section=notifications", "Settings"),
    ("settings-keys", "/settings?section=keys", "Settings"),
    ("settings-webhooks", "/settings?section=webhooks", "Settings"),
)


@pytest.fixture(scope="session")
async def eve(http: httpx.AsyncClient, ben: Person) -> Person:
    """Somebody with a past: received, sent, returned, and with a webhook endpoint."""
    person = await register(http, full_name="Eve Rao")
    await deposited(person, 2_400_00)
    await deposited(ben, 100_00)
    for payer, payee, amount, note in (
        (person, ben, 125_50, "Rent for November"),
        (ben, person, 18_00, "Lunch"),
        (person, ben, 90_000_00, "A house"),
        (person, ben, 9_99, None),
    ):
        await payer.pay(payee, amount, prefer="wait=30", note=note)
    await person.post("/v1/webhook-endpoints", {"url": "http://127.0.0.1:9/remit"})
    return person


@pytest.fixture(params=LOOKS)
async def visitor(request: pytest.FixtureRequest, chromium: Browser, stack: Running) -> AsyncIterator[Visitor]:
    async with visiting(chromium, stack.api_url, request.param) as visitor:
        yield visitor


async def check(visitor: Visitor, name: str, request: pytest.FixtureRequest) -> None:
    """The page as it is now: nothing overflows, axe finds nothing, no script fails. Keep how it looks, if wanted."""
    look = request.node.callspec.params["visitor"]
    await visitor.settled()
    assert await visitor.overflow() <= 0
    assert await visitor.violations() == []
    assert visitor.errors == []
    if folder := os.environ.get("REMIT_SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        path = Path(folder) / f"{name}-{look}.jpg"
        await visitor.page.screenshot(path=path, type="jpeg", quality=60, animations="disabled")


async def test_pages_for_everybody(visitor: Visitor, request: pytest.FixtureRequest) -> None:
    for name, path, heading in OPEN:
        await visitor.open(path, heading)
        await check(visitor, name, request)


async def test_pages_of_a_customer(visitor: Visitor, request: pytest.FixtureRequest, eve: Person) -> None:
    await visitor.sign_in(eve)
    for name, path, heading in OWN:
        await visitor.open(path, heading)
        await check(visitor, name, request)
    await visitor.open("/transactions", "Transactions")
    await visitor.page.get_by_text("Rent for November").first.click()
    await visitor.reads("How it went")
    await check(visitor, "details", request)


async def test_the_menu_of_a_phones_page(chromium: Browser, stack: Running, eve: Person) -> None:
    async with visiting(chromium, stack.api_url, "phone") as visitor:
        await visitor.sign_in(eve)
        await visitor.open("/dashboard", "Dashboard")
        await visitor.click("Menu")
        await visitor.page.get_by_role("link", name="Transactions").click()
        await visitor.sees("Transactions")


async def test_a_page_that_does_not_exist_says_so(chromium: Browser, stack: Running) -> None:
    async with visiting(chromium, stack.api_url) as visitor:
        await visitor.open("/nothing", "There is no such page")
        assert await visitor.violations() == []


async def test_filters_of_a_list_stand_in_the_pages_address(chromium: Browser, stack: Running, eve: Person) -> None:
    async with visiting(chromium, stack.api_url) as visitor:
        await visitor.sign_in(eve)
        await visitor.open("/transactions", "Transactions")
        await visitor.page.get_by_label("State").select_option("Failed")
        await visitor.page.wait_for_url("**state=failed")
        await visitor.reads("A house")
        await visitor.page.reload()
        await visitor.reads("A house")
        assert await visitor.page.get_by_text("Lunch").count() == 0


async def test_a_page_that_cannot_be_read_says_so_and_is_read_again(
    chromium: Browser, stack: Running, eve: Person
) -> None:
    async with visiting(chromium, stack.api_url) as visitor:
        await visitor.sign_in(eve)
        await visitor.page.route("**/v1/transfers*", lambda route: route.fulfill(status=400, body="{}"))
        await visitor.open("/transactions", "Transactions")
        await visitor.reads("This could not be read")
        assert await visitor.violations() == []
        await visitor.page.unroute("**/v1/transfers*")
        await visitor.click("Try again")
        await visitor.reads("Lunch")
        await visitor.context.set_offline(offline=True)
        await visitor.reads("You are offline")


async def test_a_page_shows_a_new_balance_within_a_second(chromium: Browser, stack: Running, ada: Person) -> None:
    async with visiting(chromium, stack.api_url) as visitor:
        await visitor.sign_in(ada)
        await visitor.open("/dashboard", "Dashboard")
        await visitor.reads("$500.00")
        await visitor.settled()
        await deposited(ada, 1_23)
        await visitor.page.get_by_text("$501.23").first.wait_for(timeout=1_000)
        await visitor.reads("Your deposit")


async def test_the_pages_weigh_at_most_250_kilobytes_each(chromium: Browser, stack: Running, eve: Person) -> None:
    for name, path, heading in (*OPEN, *OWN):
        # A window of its own: nothing is there before.
        async with visiting(chromium, stack.api_url) as visitor:
            if (name, path, heading) in OWN:
                await visitor.sign_in(eve)
            await visitor.open(path, heading)
            await visitor.settled()
            files = await visitor.weight()
            paint = await visitor.page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
            print(f"{name}: {files / 1000:.0f} kB compressed, first paint after {paint:.0f} ms")
            assert 0 < files <= 250_000, name
