"""Batches, standing orders, statements, disputes and limits in a browser: made once, followed, and ended.

What moves money is counted in the API, not on the screen.
"""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Browser, Route

from devenv.stack import Running
from tests.api.people import Person, register
from tests.waiting import until
from tests.web.test_payments import sent
from tests.web.visitor import Visitor, visiting


@pytest.fixture
async def visitor(chromium: Browser, stack: Running, ada: Person) -> AsyncIterator[Visitor]:
    async with visiting(chromium, stack.api_url) as visitor:
        await visitor.sign_in(ada)
        yield visitor


async def lose_first_answer(visitor: Visitor, pattern: str) -> list[str | None]:
    """The API gets every request, and the page no answer to the first one. Returns the keys as they come."""
    keys: list[str | None] = []

    async def lose(route: Route) -> None:
        if route.request.method != "POST":
            await route.continue_()
            return
        keys.append(route.request.headers.get("idempotency-key"))
        answer = await route.fetch()
        await (route.abort() if len(keys) == 1 else route.fulfill(response=answer))

    await visitor.page.route(pattern, lose)
    return keys


async def test_a_file_is_added_up_then_sent_once_though_the_answer_is_lost(
    visitor: Visitor, ada: Person, ben: Person, tmp_path: Path
) -> None:
    header = "reference,source_account_id,destination_account_id,amount,currency,note"
    salaries = [f"s-{ada.id[-6:]}-{line},{ada.account_id},{ben.account_id},1050,USD,Pay" for line in range(3)]
    file = tmp_path / "salaries.csv"
    file.write_text("\n".join([header, *salaries]))
    keys = await lose_first_answer(visitor, "**/v1/batches*")
    await visitor.open("/batches/new", "New batch")
    await visitor.page.locator("input[type=file]").set_input_files(file)
    await visitor.reads("3 payments, $31.50")
    assert await visitor.violations() == []
    await visitor.click("Send 3 payments")
    await visitor.reads("Not known yet, asking again")
    await visitor.sees("Batch")
    await visitor.reads("Ended: 3 completed")
    assert await visitor.violations() == []
    assert len(keys) >= 2
    assert len(set(keys)) == 1
    assert len((await ada.get("/v1/batches")).json()["items"]) == 1
    assert [each["amount"] for each in await sent(ada)] == [10_50] * 3


async def test_a_refused_batch_says_which_lines_are_wrong(
    visitor: Visitor, ada: Person, ben: Person, tmp_path: Path
) -> None:
    file = tmp_path / "wrong.csv"
    file.write_text(
        "reference,source_account_id,destination_account_id,amount,currency\n"
        f"w-1,{ada.account_id},{ben.account_id},12.50,USD\n"
        f"w-1,{ben.account_id},{ada.account_id},100,USD\n"
    )
    await visitor.open("/batches/new", "New batch")
    await visitor.page.locator("input[type=file]").set_input_files(file)
    await visitor.reads("1 of them have no amount")
    await visitor.click("Send 2 payments")
    await visitor.page.get_by_role("alert").get_by_role("cell", name="amount").wait_for()
    assert await visitor.violations() == []
    assert (await ada.get("/v1/batches")).json()["items"] == []


async def test_typed_payments_survive_a_reload_and_become_one_batch(visitor: Visitor, ada: Person, ben: Person) -> None:
    await visitor.open("/batches/new", "New batch")
    await visitor.page.get_by_text("Type them").click()
    number = (await ben.get(f"/v1/accounts/{ben.account_id}")).json()["number"]
    for place, (payee, amount) in enumerate(((f"{number[:4]} {number[4:]}", "12.50"), (ben.account_id, "1,000.00")), 1):
        await visitor.click("Add a payment")
        await visitor.page.get_by_label(f"To, payment {place}").fill(payee)
        await visitor.page.get_by_label(f"Amount, payment {place}").fill(amount)
    await visitor.page.reload()
    await visitor.reads("2 payments, $1,012.50")
    assert await visitor.violations() == []
    await visitor.click("Send 2 payments")
    await visitor.reads("Ended: 1 completed, 1 failed")
    assert [each["amount"] for each in await sent(ada) if each["state"] == "completed"] == [12_50]


async def test_a_standing_order_is_made_once_edited_skipped_paused_and_cancelled(
    visitor: Visitor, ada: Person, ben: Person
) -> None:
    number = (await ben.get(f"/v1/accounts/{ben.account_id}")).json()["number"]
    keys = await lose_first_answer(visitor, "**/v1/standing-orders")
    await visitor.open("/standing-orders/new", "New standing order")
    await visitor.click("Make the standing order")
    await visitor.reads("Choose the first date")
    await visitor.page.get_by_role("textbox", name="To", exact=True).fill(number)
    await visitor.page.get_by_role("textbox", name="Amount").fill("12.50")
    await visitor.page.get_by_label("Note").fill("Rent")
    await visitor.page.get_by_label("First date").fill("2040-01-31")
    await visitor.reads("B*** S***")
    await visitor.click("Make the standing order")
    await visitor.reads("Not known yet, asking again")
    await visitor.sees("Standing order")
    (order,) = (await ada.get("/v1/standing-orders")).json()["items"]
    assert (order["amount"], order["recurrence"]["first_date"]) == (12_50, "2040-01-31")
    assert len(set(keys)) == 1

    await visitor.click("Edit")
    await visitor.page.get_by_role("textbox", name="Amount").fill("20")
    await visitor.click("Save the changes")
    await visitor.reads("$20.00")
    await visitor.page.get_by_role("button", name="Skip Jan 31, 2040").click()
    await visitor.click("Skip this date")
    await visitor.page.get_by_role("list", name="Dates to come").get_by_text("Skipped").wait_for()
    await visitor.click("Pause")
    await visitor.reads("Paused")
    await visitor.click("Resume")
    await visitor.reads("Active")
    await visitor.page.get_by_role("button", name="Cancel", exact=True).click()
    await visitor.click("Cancel it for good")
    await visitor.reads("Cancelled")
    assert await visitor.violations() == []
    changed = (await ada.get(f"/v1/standing-orders/{order['id']}")).json()
    assert (changed["amount"], changed["state"]) == (20_00, "cancelled")


async def test_a_statement_is_made_for_a_period_and_downloaded(visitor: Visitor, ada: Person) -> None:
    await visitor.open("/statements", "Statements")
    await visitor.click("Make the statement")
    for format_, begins in (("PDF", b"%PDF"), ("CSV", b""), ("camt.053", b"<?xml"), ("JSON", b"{")):
        async with visitor.page.expect_download() as download:
            await visitor.click(f"{format_} of statement 1")
        content = Path(await (await download.value).path()).read_bytes()
        assert content.startswith(begins), format_
        assert content
    statement = json.loads(content)
    assert statement
    assert await visitor.violations() == []


async def test_a_payer_disputes_a_payment_and_the_payee_answers(
    chromium: Browser, stack: Running, http: httpx.AsyncClient, visitor: Visitor, ada: Person
) -> None:
    payee = await register(http, full_name="Kit Fox")
    paid = (await ada.pay(payee, 20_00, prefer="wait=30")).json()["id"]
    await visitor.open(f"/transactions/{paid}", "Transaction")
    await visitor.click("Open a dispute")
    await visitor.page.get_by_label("What is wrong").fill("Nothing came")
    assert await visitor.violations() == []
    await visitor.click("Open the dispute")
    await visitor.sees("Dispute")
    async with visiting(chromium, stack.api_url) as other:
        await other.sign_in(payee)
        await other.open("/disputes", "Disputes")
        await other.page.get_by_text("Nothing came").first.click()
        await other.page.get_by_label("Your answer").fill("It was sent on Monday")
        await other.click("Say it")
        await other.page.get_by_role("list").get_by_text("It was sent on Monday").wait_for()
        await other.page.get_by_role("list").get_by_text("You", exact=True).wait_for()
        assert await other.violations() == []
    await visitor.page.reload()
    await visitor.reads("It was sent on Monday")
    (dispute,) = (await ada.get("/v1/disputes")).json()["items"]
    assert dispute["reason"] == "Nothing came"


async def test_a_higher_tier_is_asked_for_with_a_document_and_followed(visitor: Visitor, ada: Person) -> None:
    await visitor.open("/limits", "Limits")
    await visitor.reads("$50,000.00")
    await visitor.page.get_by_label("Tier", exact=True).select_option("2")
    await visitor.page.get_by_label("Its number").fill("22334455668")
    await visitor.click("Ask for tier 2")
    await visitor.page.get_by_role("list", name="Requests").get_by_text("with a document that ends with").wait_for()
    assert await visitor.violations() == []

    async def is_asked() -> bool:
        found = (await ada.get(f"/v1/accounts/{ada.account_id}/tier-requests")).json()["items"]
        return [each["tier"] for each in found] == [2]

    await until(is_asked, "the request is there")
