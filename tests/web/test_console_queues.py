"""What waits for staff beside transfers: held batches, documents, tier requests, and standing orders of a customer."""

import httpx
from playwright.async_api import Browser

from customers.documents.sandbox import REVIEW_NUMBER
from devenv.stack import Running
from tests.api.people import Person, register
from tests.waiting import until
from tests.web.test_console import REASON, act, recorded, row
from tests.web.trouble import REVIEWED, held_batch, rich, role_asked, tier_asked
from tests.web.visitor import visiting


async def test_a_held_batch_is_approved_three_clicks_from_the_console(
    chromium: Browser, stack: Running, http: httpx.AsyncClient, operator: Person, ben: Person
) -> None:
    payer = await rich(http, REVIEWED)
    batch_id = await held_batch(payer, ben)
    async with visiting(chromium, stack.api_url) as visitor:
        await visitor.sign_in(operator)
        await visitor.open("/staff", "Console")
        await visitor.page.get_by_role("link", name="Held batches").click()
        await row(visitor, payer.id[:12]).get_by_role("link").click()
        await visitor.sees("Batch of a customer")
        await visitor.reads("Held for a review by amount_review")
        await act(visitor, visitor.page.get_by_role("button", name="Approve"), "Approve 1 payment")
        await visitor.reads("Ended: 1 completed")
        assert await visitor.violations() == []
    assert (await payer.get(f"/v1/batches/{batch_id}")).json()["state"] == "completed"
    assert REASON in [reason for _, reason, _ in await recorded(operator, batch_id)]


async def test_a_document_is_verified_and_its_customer_may_pay(
    chromium: Browser, stack: Running, http: httpx.AsyncClient, operator: Person
) -> None:
    document = {"type": "ID_CARD", "number": REVIEW_NUMBER}
    customer = await register(http, full_name="Uma Roy", identity_document=document)
    async with visiting(chromium, stack.api_url) as visitor:
        await visitor.sign_in(operator)
        await visitor.open("/staff/documents?state=in_review", "Documents")
        found = row(visitor, customer.id[:12])
        await act(visitor, found.get_by_role("button", name="Verify"), "Verify it")
        await found.wait_for(state="hidden")

        async def is_verified() -> bool:
            return bool((await customer.get("/v1/auth/me")).json()["verification"]["state"] == "verified")

        await until(is_verified, "the customer is verified")


async def test_a_tier_request_is_approved_and_the_account_has_the_tier(
    chromium: Browser, stack: Running, operator: Person, ada: Person
) -> None:
    await tier_asked(ada)
    async with visiting(chromium, stack.api_url) as visitor:
        await visitor.sign_in(operator)
        await visitor.open("/staff/tier-requests?state=open", "Tier requests")
        found = row(visitor, ada.id[:12])
        await found.get_by_text("One person approves").wait_for()
        await act(visitor, found.get_by_role("button", name="Approve"), "Approve")
        await found.wait_for(state="hidden")
    assert (await ada.get(f"/v1/accounts/{ada.account_id}")).json()["tier"] == 2


async def test_a_role_that_waits_is_given_by_the_second_admin_or_rejected(
    chromium: Browser, stack: Running, http: httpx.AsyncClient, admin: Person
) -> None:
    given, refused = [await register(http, full_name=name) for name in ("Yan Lim", "Zoe Nel")]
    for person in (given, refused):
        await role_asked(stack, http, person)
    async with visiting(chromium, stack.api_url) as visitor:
        await visitor.sign_in(admin)
        await visitor.open("/staff/role-requests", "Role requests")
        for name, button, confirm in (("Yan Lim", "Approve", "Give the role"), ("Zoe Nel", "Reject", "Reject")):
            found = row(visitor, f"Operator for {name}")
            await act(visitor, found.get_by_role("button", name=button), confirm)
            await found.wait_for(state="hidden")
    roles = [(await person.get("/v1/auth/me")).json()["role"] for person in (given, refused)]
    assert roles == ["operator", "customer"]


async def test_staff_pause_a_standing_order_and_its_owner_reads_that(
    chromium: Browser, stack: Running, operator: Person, ada: Person, ben: Person
) -> None:
    order = {
        "source_account_id": ada.account_id,
        "destination_account_id": ben.account_id,
        "currency": "USD",
        "amount": 100,
        "recurrence": {"frequency": "monthly", "first_date": "2040-01-31"},
    }
    order_id = (await ada.post("/v1/standing-orders", order)).json()["id"]
    async with visiting(chromium, stack.api_url) as visitor:
        await visitor.sign_in(operator)
        await visitor.open(f"/staff/users/{ada.id}", "Ada Obi")
        await act(visitor, row(visitor, "every month").get_by_role("button", name="Pause"), "Pause it")
        await row(visitor, "every month").get_by_text("Paused by staff").wait_for()
        await visitor.open(f"/staff/accounts/{ada.account_id}", "Account")
        await visitor.reads("No statements.")
    async with visiting(chromium, stack.api_url) as visitor:
        await visitor.sign_in(ada)
        await visitor.open(f"/standing-orders/{order_id}", "Standing order")
        await visitor.reads("Only they resume it")
        assert await visitor.page.get_by_role("button", name="Resume").count() == 0
