"""Every page of staff: in both themes and at 360 pixels, with nothing that axe objects to, and who may see it."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import httpx
import pytest
from playwright.async_api import Browser

from devenv.stack import Running
from tests.api.people import Person
from tests.web.test_pages import check
from tests.web.trouble import Trouble, made_trouble
from tests.web.visitor import LOOKS, Visitor, visiting

# Name, path, heading, and what the page has to say of the trouble.
PAGES = (
    ("staff-console", "/staff", "Console", "Need attention"),
    ("staff-attention", "/staff/attention", "Needs attention", "The credit has no answer"),
    ("staff-reviews", "/staff/reviews", "Reviews", "amount_review"),
    ("staff-disputes", "/staff/disputes", "Disputes", "parcel 4711"),
    ("staff-cases", "/staff/cases", "Cases", "large_amount"),
    ("staff-batches", "/staff/batches?state=held", "All batches", "1 payment, all or nothing"),
    ("staff-documents", "/staff/documents?state=in_review", "Documents", "ends with"),
    ("staff-tier-requests", "/staff/tier-requests?state=open", "Tier requests", "Tier 2 for"),
    ("staff-role-requests", "/staff/role-requests", "Role requests", "Operator for"),
    ("staff-dead-letters", "/staff/dead-letters", "Dead letters", "no queue of wallet.events"),
    ("staff-recovery", "/staff/recovery", "Recovery", "The next sweep"),
    ("staff-transactions", "/staff/transactions", "All transactions", "“A car”"),
    ("staff-users", "/staff/users", "Users", "@example.com"),
    ("staff-books", "/staff/books", "Books", "balanced"),
    ("staff-audit", "/staff/audit", "Audit trail", "Before"),
    ("staff-stats", "/staff/stats", "Statistics", "95 of 100"),
)


@pytest.fixture(scope="session")
async def trouble(stack: Running, http: httpx.AsyncClient, admin: Person) -> AsyncIterator[Trouble]:
    async with AsyncExitStack() as until_then:
        yield await made_trouble(stack, http, admin, until_then)


@pytest.fixture(params=LOOKS)
async def visitor(request: pytest.FixtureRequest, chromium: Browser, stack: Running) -> AsyncIterator[Visitor]:
    async with visiting(chromium, stack.api_url, request.param) as visitor:
        yield visitor


async def test_pages_of_staff(
    visitor: Visitor, request: pytest.FixtureRequest, admin: Person, trouble: Trouble
) -> None:
    await visitor.sign_in(admin)
    for name, path, heading, text in PAGES:
        await visitor.open(path, heading)
        await visitor.reads(text)
        await check(visitor, name, request)
    for name, path, heading, text in (
        ("staff-user", f"/staff/users/{trouble.payer.id}", "Rita Lee", "What they requested"),
        ("staff-account", f"/staff/accounts/{trouble.payer.account_id}", "Account", "Flagged by a fraud rule"),
        ("staff-batch", f"/staff/batches/{trouble.held}", "Batch of a customer", "Approve"),
        ("staff-transaction", f"/staff/transactions?open={trouble.disputed}", "All transactions", "Debit: out of"),
    ):
        await visitor.open(path, heading)
        await visitor.reads(text)
        await check(visitor, name, request)
    await visitor.open("/staff/attention", "Needs attention")
    await visitor.click("Give back")
    await visitor.reads("Stands in the record")
    await check(visitor, "staff-act", request)


async def test_staff_pages_show_operators_what_they_may_do(
    chromium: Browser, stack: Running, operator: Person, trouble: Trouble
) -> None:
    async with visiting(chromium, stack.api_url) as visitor:
        await visitor.sign_in(operator)
        await visitor.open("/staff/books", "Books")
        await visitor.reads("An admin can verify the books")
        assert await visitor.page.get_by_role("button", name="Rebuild", exact=True).count() == 0
        await visitor.open(f"/staff/users/{trouble.payer.id}", "Rita Lee")
        await visitor.page.get_by_role("button", name="Freeze").wait_for()
        assert await visitor.page.get_by_role("button", name="Change role").count() == 0
        await visitor.open("/staff/audit", "Audit trail")
        offered = await visitor.page.get_by_label("About").inner_text()
        assert "Reviews" in offered
        assert "Sign-ins" not in offered


async def test_staff_pages_are_not_shown_to_customers(chromium: Browser, stack: Running, ben: Person) -> None:
    async with visiting(chromium, stack.api_url) as visitor:
        await visitor.sign_in(ben)
        for path in ("/staff", "/staff/users", "/staff/books"):
            await visitor.open(path, "For staff only")
        assert await visitor.page.get_by_role("link", name="Dead letters").count() == 0
        assert await visitor.violations() == []


async def test_filters_of_all_transactions_find_one_by_amount_and_party(
    chromium: Browser, stack: Running, admin: Person, trouble: Trouble
) -> None:
    async with visiting(chromium, stack.api_url) as visitor:
        await visitor.sign_in(admin)
        await visitor.open(
            f"/staff/transactions?owner={trouble.payer.id}&kind=transfer&currency=USD", "All transactions"
        )
        await visitor.reads("“Shoes”")
        await visitor.page.get_by_label("At least").fill("12,000")
        await visitor.page.get_by_label("At least").press("Enter")
        await visitor.page.wait_for_url("**least=1200000**")
        await visitor.page.get_by_text("“Shoes”").wait_for(state="hidden")
        await visitor.reads("“A car”")
        await visitor.page.reload()
        await visitor.reads("“A car”")
        await visitor.page.get_by_role("link", name="Open trf_").last.click()
        await visitor.reads("What staff did")
        assert await visitor.page.get_by_role("link", name="Open in Temporal").get_attribute("href")


async def test_users_are_found_by_the_beginning_of_their_address_which_stands_in_no_url(
    chromium: Browser, stack: Running, admin: Person, trouble: Trouble
) -> None:
    async with visiting(chromium, stack.api_url) as visitor:
        await visitor.sign_in(admin)
        seen: list[str] = []
        visitor.page.on("request", lambda request: seen.append(request.url))
        await visitor.open("/staff/users", "Users")
        await visitor.page.get_by_label("E-mail address").fill(trouble.payee.email[:12])
        await visitor.reads("Kim Roy")
        await visitor.page.get_by_text("Rita Lee").first.wait_for(state="hidden")
        assert not [url for url in seen if trouble.payee.email[:12] in url]


async def test_staff_pages_weigh_at_most_240_kilobytes_each(
    chromium: Browser, stack: Running, admin: Person, trouble: Trouble
) -> None:
    user = ("staff-user", f"/staff/users/{trouble.payer.id}", "Rita Lee", "Freeze")
    for name, path, heading, _ in (*PAGES, user):
        # A window of its own: nothing is there before.
        async with visiting(chromium, stack.api_url) as visitor:
            await visitor.sign_in(admin)
            await visitor.open(path, heading)
            await visitor.settled()
            files = await visitor.weight()
            print(f"{name}: {files / 1000:.0f} kB compressed")
            assert 0 < files <= 240_000, name
