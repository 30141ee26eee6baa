"""Sign-in, registration and settings in a browser, and what happens when a session ends."""

import secrets

import httpx
import pyotp
from playwright.async_api import Browser

from devenv.stack import Running
from tests.api.people import PASSWORD, register
from tests.web.visitor import Visitor, visiting


async def signed_in_by_hand(visitor: Visitor, email: str) -> None:
    await visitor.page.get_by_label("E-mail address").fill(email)
    await visitor.page.locator("input[type=password]").fill(PASSWORD)
    await visitor.click("Sign in")


async def test_a_customer_signs_in_and_comes_back_to_where_they_were(
    chromium: Browser, stack: Running, http: httpx.AsyncClient
) -> None:
    ada = await register(http)
    async with visiting(chromium, stack.api_url) as visitor:
        await visitor.open("/transactions?state=failed", "Sign in")
        await visitor.page.get_by_label("E-mail address").fill(ada.email)
        await visitor.page.locator("input[type=password]").fill("wrong")
        await visitor.click("Sign in")
        await visitor.page.get_by_role("alert").wait_for()
        assert await visitor.violations() == []
        await signed_in_by_hand(visitor, ada.email)
        await visitor.sees("Transactions")
        assert visitor.page.url.endswith("/app/transactions?state=failed")
        stored = await visitor.page.evaluate(
            "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])"
        )
        assert "eyJ" not in stored  # no token
        await visitor.click("Sign out")
        await visitor.sees("Sign in")
        await visitor.open("/dashboard", "Sign in")


async def test_a_second_factor_is_asked_for_at_the_sign_in(
    chromium: Browser, stack: Running, http: httpx.AsyncClient
) -> None:
    ada = await register(http)
    secret = (await ada.post("/v1/auth/second-factor", {"password": PASSWORD})).json()["secret"]
    confirmed = await ada.post("/v1/auth/second-factor/confirm", {"second_factor": pyotp.TOTP(secret).now()})
    async with visiting(chromium, stack.api_url) as visitor:
        await visitor.open("/login", "Sign in")
        await signed_in_by_hand(visitor, ada.email)
        await visitor.page.get_by_label("Code").fill(confirmed.json()["recovery_codes"][0])
        await visitor.click("Sign in")
        await visitor.sees("Dashboard")


async def test_a_customer_registers_sees_their_rejection_and_sends_another_document(
    chromium: Browser, stack: Running
) -> None:
    async with visiting(chromium, stack.api_url) as visitor:
        await visitor.open("/register", "Open an account")
        page = visitor.page
        await page.get_by_label("Full name").fill("Noor Das")
        await page.get_by_label("E-mail address").fill(f"{secrets.token_hex(8)}@example.com")
        await page.locator("input[type=password]").fill("short")
        await page.get_by_label("Number of the document").fill("00000000001")  # nobody's, says the sandbox
        await visitor.click("Open an account")
        await (
            page.get_by_text("at least 8 characters")
            .nth(1)
            .or_(page.locator(".mantine-Input-error, [id$=-error]"))
            .first.wait_for()
        )
        await page.locator("input[type=password]").fill(PASSWORD)
        await visitor.click("Open an account")
        await visitor.sees("Dashboard")
        await visitor.reads("Your identity was not verified")
        assert await visitor.violations() == []
        await page.get_by_role("link", name="Send money").first.click()
        await visitor.sees("Send money")
        assert await page.get_by_role("button", name="Send", exact=True).is_disabled()
        await page.get_by_role("link", name="Send another document").click()
        await page.get_by_label("Its number").fill("22334455667")
        await visitor.click("Send the document")
        await visitor.page.get_by_text("Verified", exact=True).wait_for()


async def test_a_customer_makes_and_revokes_an_api_key_and_tests_a_webhook_endpoint(
    chromium: Browser, stack: Running, http: httpx.AsyncClient
) -> None:
    ada = await register(http)
    async with visiting(chromium, stack.api_url) as visitor:
        await visitor.sign_in(ada)
        await visitor.open("/settings?section=keys", "Settings")
        await visitor.page.get_by_label("Name").fill("Shop")
        await visitor.page.locator("input[type=password]").fill(PASSWORD)
        await visitor.click("Make the key")
        key = await visitor.page.get_by_text("rmk_").inner_text()
        held = {"Authorization": f"Bearer {key}"}
        assert (await http.get("/v1/transfers", headers=held)).status_code == 200
        await visitor.click("Revoke")
        await visitor.click("Revoke for good")
        await visitor.page.get_by_text("Revoked", exact=True).wait_for()
        assert (await http.get("/v1/transfers", headers=held)).status_code == 401
        await visitor.open("/settings?section=webhooks", "Settings")
        await visitor.page.get_by_label("URL").fill("http://127.0.0.1:9/remit")
        await visitor.click("Add the endpoint")
        await visitor.reads("Keep this secret")
        await visitor.click("Send a test")
        await visitor.reads("webhook_endpoint.test")
        assert await visitor.violations() == []
