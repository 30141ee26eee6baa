"""The transfer page: whatever happens to it, one intent is one transfer, and its customer reads what is known.

Every test counts the transfers in the API, not on the screen.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from playwright.async_api import Browser, Route

from devenv.stack import Running
from tests.api.people import Person, register
from tests.waiting import until
from tests.web.conftest import deposited
from tests.web.test_sign_in import signed_in_by_hand
from tests.web.visitor import Visitor, visiting

TRANSFERS = "**/v1/transfers"


@pytest.fixture
async def visitor(chromium: Browser, stack: Running, ada: Person) -> AsyncIterator[Visitor]:
    async with visiting(chromium, stack.api_url) as visitor:
        await visitor.sign_in(ada)
        yield visitor


async def sent(person: Person) -> list[dict[str, Any]]:
    return list((await person.get("/v1/transfers", kind="transfer")).json()["items"])


async def fill(visitor: Visitor, payee: Person, amount: str = "12.50", note: str = "Lunch") -> None:
    number = (await payee.get(f"/v1/accounts/{payee.account_id}")).json()["number"]
    await visitor.open("/transfer", "Send money")
    await visitor.page.get_by_label("To").fill(number)
    await visitor.page.get_by_label("Amount").fill(amount)
    await visitor.page.get_by_label("Note").fill(note)
    await visitor.reads("B*** S***")


async def key_of(visitor: Visitor) -> str:
    return str(await visitor.page.evaluate("JSON.parse(sessionStorage.getItem('remit-intent')).key"))


async def lose_answers(visitor: Visitor, count: int) -> None:
    """The API gets these requests, and the page none of their answers."""
    left = count

    async def lose(route: Route) -> None:
        nonlocal left
        if route.request.method != "POST" or left == 0:
            await route.continue_()
            return
        left -= 1
        await route.fetch()
        await route.abort()

    await visitor.page.route(TRANSFERS, lose)


async def test_a_double_click_makes_one_transfer(visitor: Visitor, ada: Person, ben: Person) -> None:
    await fill(visitor, ben, "1,2.5")
    await visitor.click("Send")
    await visitor.reads("Type the amount without")
    await visitor.page.get_by_label("Amount").fill("12.50")
    await visitor.page.get_by_role("button", name="Send $12.50").dblclick()
    await visitor.reads_state("Completed")
    (transfer,) = await sent(ada)
    assert (transfer["amount"], transfer["note"], transfer["state"]) == (12_50, "Lunch", "completed")
    assert transfer["workflow_id"].endswith(await key_of(visitor))


async def test_a_lost_answer_is_not_known_yet_and_makes_one_transfer(
    visitor: Visitor, ada: Person, ben: Person
) -> None:
    await lose_answers(visitor, 2)
    await fill(visitor, ben)
    await visitor.click("Send $12.50")
    await visitor.reads("Not known yet, asking again")
    assert await visitor.page.get_by_label("Amount").count() == 0  # nothing to edit: another key could pay twice
    assert await visitor.violations() == []
    await visitor.reads_state("Completed")
    assert len(await sent(ada)) == 1


async def test_a_reload_before_the_answer_makes_one_transfer(visitor: Visitor, ada: Person, ben: Person) -> None:
    await lose_answers(visitor, 1)
    await fill(visitor, ben)
    key = await key_of(visitor)
    await visitor.page.reload()
    await visitor.reads("B*** S***")
    assert await key_of(visitor) == key
    await visitor.click("Send $12.50")
    await visitor.page.reload()
    await visitor.reads_state("Completed")
    assert await key_of(visitor) == key
    await visitor.page.reload()
    await visitor.reads_state("Completed")
    assert len(await sent(ada)) == 1


async def test_the_back_button_leads_to_the_same_transfer(visitor: Visitor, ada: Person, ben: Person) -> None:
    await fill(visitor, ben)
    await visitor.click("Send $12.50")
    await visitor.reads_state("Completed")
    await visitor.page.get_by_role("link", name="See the details").click()
    await visitor.reads("How it went")
    await visitor.page.go_back()
    await visitor.reads_state("Completed")
    assert await visitor.page.get_by_label("Amount").count() == 0
    await visitor.click("New transfer")
    assert await visitor.page.get_by_label("Amount").input_value() == ""
    assert len(await sent(ada)) == 1


async def test_a_duplicated_tab_makes_the_same_transfer(visitor: Visitor, ada: Person, ben: Person) -> None:
    await fill(visitor, ben)
    async with visitor.context.expect_page() as opened:
        await visitor.page.evaluate("void window.open(location.href)")  # with a copy of the session storage
    twin = Visitor(visitor.context, await opened.value, visitor.url)
    await twin.reads("B*** S***")
    assert await key_of(twin) == await key_of(visitor)
    await asyncio.gather(*(each.click("Send $12.50") for each in (visitor, twin)))
    await asyncio.gather(*(each.reads_state("Completed") for each in (visitor, twin)))
    assert len(await sent(ada)) == 1


async def test_another_amount_payee_or_note_is_another_transfer(visitor: Visitor, ben: Person) -> None:
    await fill(visitor, ben)
    keys = [await key_of(visitor)]
    for label, text in (("Amount", "12.51"), ("Note", "Dinner"), ("To", "RM04 4040 4040 4040"), ("Amount", "12.50")):
        await visitor.page.get_by_label(label).fill(text)
        keys.append(await key_of(visitor))
    assert len(set(keys)) == len(keys)


async def test_a_session_that_has_ended_leads_to_the_sign_in_and_back_and_to_one_transfer(
    visitor: Visitor, ada: Person, ben: Person
) -> None:
    # Without its socket the page learns of it by the answer to the payment, and not before.
    await visitor.page.route_web_socket("**/graphql", lambda socket: socket.close())
    await fill(visitor, ben)
    key = await key_of(visitor)
    await ada.http.delete("/v1/auth/sessions", headers={"Authorization": f"Bearer {ada.token}"})
    await visitor.click("Send $12.50")
    await visitor.sees("Sign in")
    await signed_in_by_hand(visitor, ada.email)
    await visitor.sees("Send money")
    assert await key_of(visitor) == key
    await visitor.click("Send $12.50")
    await visitor.reads_state("Completed")
    await visitor.open("/transactions?kind=transfer", "Transactions")
    await visitor.settled()
    assert await visitor.page.get_by_text("Lunch").count() == 1


async def test_an_expired_access_token_is_renewed_and_makes_one_transfer(
    visitor: Visitor, ada: Person, ben: Person
) -> None:
    await fill(visitor, ben)
    await visitor.context.clear_cookies(name="remit_access")
    await visitor.click("Send $12.50")
    await visitor.reads_state("Completed")
    assert len(await sent(ada)) == 1


async def test_a_refused_transfer_is_retried_and_completed(visitor: Visitor, ada: Person, ben: Person) -> None:
    await fill(visitor, ben, "700", "Rent")
    await visitor.reads("This is more than the $500.00 that you have")
    await visitor.click("Send $700.00")
    await visitor.reads_state("Not sent")
    await visitor.reads("Attempt 1 of 3")
    assert await visitor.violations() == []
    await visitor.click("Try again")
    await visitor.reads("Attempt 2 of 3")
    await deposited(ada, 300_00)
    await visitor.page.get_by_role("button", name="Try again").dblclick()
    await visitor.reads_state("Completed")
    (transfer,) = await sent(ada)
    assert (transfer["state"], transfer["attempt"]) == ("completed", 3)


async def test_after_three_attempts_the_transfer_page_offers_another_request(
    visitor: Visitor, ada: Person, ben: Person
) -> None:
    await fill(visitor, ben, "700", "Rent")
    key = await key_of(visitor)
    await visitor.click("Send $700.00")
    for attempt in (1, 2):
        await visitor.reads(f"Attempt {attempt} of 3")
        await visitor.click("Try again")
    await visitor.reads("Attempt 3 of 3")
    assert await visitor.page.get_by_role("button", name="Try again").count() == 0
    await visitor.click("Change your request")
    assert await visitor.page.get_by_label("Amount").input_value() == "700"
    assert await key_of(visitor) != key
    assert len(await sent(ada)) == 1


async def test_a_frozen_account_sends_nothing_and_the_transfer_page_says_why(
    visitor: Visitor, ada: Person, ben: Person, admin: Person
) -> None:
    await visitor.open("/transfer", "Send money")
    path = f"/v1/admin/accounts/{ada.account_id}"
    assert (await admin.post(f"{path}/freeze", {"reason": "ticket 4711"})).status_code == 200
    await visitor.reads("This account is frozen")  # without a reload
    assert await visitor.page.get_by_role("button", name="Send", exact=True).is_disabled()
    assert await visitor.violations() == []
    assert (await admin.post(f"{path}/unfreeze", {"reason": "ticket 4711"})).status_code == 200
    await visitor.page.get_by_text("This account is frozen").wait_for(state="hidden")
    await fill(visitor, ben)


async def test_a_transfer_page_that_was_left_goes_on_by_itself(
    visitor: Visitor, ada: Person, ben: Person, http: httpx.AsyncClient
) -> None:
    await lose_answers(visitor, 1)
    await fill(visitor, ben)
    await visitor.click("Send $12.50")
    await visitor.page.get_by_role("link", name="Dashboard").click()
    await visitor.sees("Dashboard")
    await visitor.reads("$487.50")
    await visitor.page.get_by_role("link", name="Send money").first.click()
    await visitor.reads_state("Completed")
    assert len(await sent(ada)) == 1


async def test_another_customers_transfer_page_does_not_go_on_with_it(
    visitor: Visitor, ada: Person, ben: Person, http: httpx.AsyncClient
) -> None:
    await fill(visitor, ben)
    eve = await register(http, full_name="Eve Rao")
    await visitor.sign_in(eve)
    await visitor.open("/transfer", "Send money")
    assert await visitor.page.get_by_label("Amount").input_value() == ""

    async def is_empty() -> bool:
        return await sent(ada) == [] == await sent(eve)

    await until(is_empty, "nobody has sent anything")


async def test_a_transfer_is_made_by_keyboard_alone(visitor: Visitor, ada: Person, ben: Person) -> None:
    number = (await ben.get(f"/v1/accounts/{ben.account_id}")).json()["number"]
    await visitor.open("/transfer", "Send money")
    await visitor.page.get_by_label("Amount").wait_for()
    for label, text in (("To", number), ("Amount", "3"), ("Note", "Tea")):
        await tab_to(visitor, label)
        await visitor.page.keyboard.type(text)
    await visitor.page.keyboard.press("Enter")
    await visitor.reads_state("Completed")
    assert [transfer["amount"] for transfer in await sent(ada)] == [3_00]


async def tab_to(visitor: Visitor, label: str) -> None:
    field = visitor.page.get_by_label(label, exact=False).first
    for _ in range(20):
        await visitor.page.keyboard.press("Tab")
        if await field.evaluate("field => field === document.activeElement"):
            return
    raise AssertionError(f"no Tab leads to {label}")
