"""Acts of staff in a browser: each has its reason, is sent once, is recorded, and shows what it has done."""

import asyncio
import re
from contextlib import AsyncExitStack

import httpx
import pytest
from playwright.async_api import Browser, Locator, Route, expect

from devenv.stack import Running
from staff.permissions import Role
from tests.api.people import Person, in_review, reaches, register
from tests.waiting import until
from tests.web.conftest import of_staff
from tests.web.trouble import REVIEWED, died, rich, stuck_transfer
from tests.web.visitor import Visitor, visiting

REASON = "ticket 4711"


async def act(visitor: Visitor, button: Locator, confirm: str) -> None:
    """Two clicks: the act, and its confirmation with a reason."""
    await button.click()
    dialog = visitor.page.locator("[data-act]").get_by_role("dialog")
    send = dialog.get_by_role("button", name=confirm, exact=True)
    assert await send.is_disabled()
    await dialog.get_by_label("Reason").fill(REASON)
    await send.click()
    await dialog.wait_for(state="hidden")


async def held_back(visitor: Visitor, path: str) -> asyncio.Event:
    """Requests to this path have no answer until the event is set."""
    may_go = asyncio.Event()

    async def late(route: Route) -> None:
        await may_go.wait()
        await route.continue_()

    await visitor.page.route(path, late)
    return may_go


def row(visitor: Visitor, text: str) -> Locator:
    return visitor.page.get_by_role("listitem").filter(has_text=text).first


async def recorded(staff: Person, subject: str) -> list[tuple[str, str, str]]:
    found = (await staff.get("/v1/admin/actions", subject=subject)).json()["items"]
    return [(each["action"], each["reason"], each["outcome"]) for each in found]


async def test_reviews_on_the_screen_are_decided_at_once_and_no_others(
    chromium: Browser, stack: Running, http: httpx.AsyncClient, operator: Person, ben: Person
) -> None:
    payers = [await rich(http, REVIEWED) for _ in range(2)]
    first, second = [await in_review(payer, ben, REVIEWED) for payer in payers]
    async with visiting(chromium, stack.api_url) as visitor:
        await visitor.sign_in(operator)
        await visitor.open("/staff/reviews", "Reviews")
        await row(visitor, first[:12]).get_by_label("Choose trf").check()
        late = await in_review(await rich(http, REVIEWED), ben, REVIEWED)
        await act(visitor, visitor.page.get_by_role("button", name="Approve 1"), "Approve 1 transfer")
        await visitor.reads("Recorded for 1 of 1")
        assert await visitor.violations() == []
        await reaches(payers[0], first, "completed")
        await act(visitor, row(visitor, second[:12]).get_by_role("button", name="Reject"), "Reject")
        await reaches(payers[1], second, "failed")
    assert await recorded(operator, first) == [("decide_review", REASON, "taken")]
    assert await recorded(operator, late) == []


async def test_a_review_is_decided_once_its_reasons_are_on_the_screen(
    chromium: Browser, stack: Running, http: httpx.AsyncClient, operator: Person, ben: Person
) -> None:
    reviewed = await in_review(await rich(http, REVIEWED), ben, REVIEWED)
    async with visiting(chromium, stack.api_url) as visitor:
        await visitor.sign_in(operator)
        may_be_read = await held_back(visitor, "**/verdicts")
        await visitor.open("/staff/reviews", "Reviews")
        found = row(visitor, reviewed[:12])
        await expect(found).to_contain_text("In review since")
        await expect(found.get_by_role("button")).to_have_count(0)
        may_be_read.set()
        await found.get_by_role("button", name="Approve").wait_for()
        await expect(found).to_contain_text("amount_review")


async def test_a_stuck_transfer_is_given_back_three_clicks_from_the_console(
    chromium: Browser, stack: Running, http: httpx.AsyncClient, operator: Person, ada: Person
) -> None:
    payee = await register(http, full_name="Kay Oh")
    async with AsyncExitStack() as until_then, visiting(chromium, stack.api_url) as visitor:
        stuck = await stuck_transfer(stack, operator, ada, payee, until_then)
        await visitor.sign_in(operator)
        await visitor.open("/staff", "Console")
        await visitor.page.get_by_role("link", name="Need attention").click()
        # The console has a row of it, too: the oldest that is on its way.
        await visitor.page.get_by_role("heading", name="Needs attention", level=1).wait_for()
        found = row(visitor, stuck[:12])
        # Its text, not what is drawn: a row that has just come is drawn with the next frame.
        await expect(found).to_have_text(re.compile(r"^The credit has no answer"))
        await act(visitor, found.get_by_role("button", name="Give back"), "Give it back")
        await found.wait_for(state="hidden", timeout=45_000)
        await reaches(ada, stuck, "compensated")
    assert await recorded(operator, stuck) == [("give_back", REASON, "taken")]
    assert await ada.balance() == 500_00


async def test_the_acts_of_a_stuck_transfer_stay_where_they_are_while_its_step_is_read(
    chromium: Browser, stack: Running, http: httpx.AsyncClient, operator: Person, ada: Person
) -> None:
    payee = await register(http, full_name="Una Fox")
    async with AsyncExitStack() as until_then, visiting(chromium, stack.api_url) as visitor:
        stuck = await stuck_transfer(stack, operator, ada, payee, until_then)
        may_be_read = await held_back(visitor, "**/pending-step")
        await visitor.sign_in(operator)
        await visitor.open("/staff/attention", "Needs attention")
        found = row(visitor, stuck[:12])
        give_back = found.get_by_role("button", name="Give back")
        await give_back.hover()
        await visitor.page.mouse.down()
        before = await give_back.bounding_box()
        may_be_read.set()
        await expect(found).to_contain_text(re.compile(r", attempt \d"))
        assert await give_back.bounding_box() == before
        await visitor.page.mouse.up()
        await visitor.reads("Stands in the record")
    await reaches(ada, stuck, "completed")


async def test_the_window_of_an_act_is_loaded_by_its_button_and_gives_the_focus_back_to_it(
    chromium: Browser, stack: Running, operator: Person, ben: Person
) -> None:
    async with visiting(chromium, stack.api_url) as visitor:
        await visitor.sign_in(operator)
        loaded: list[str] = []
        visitor.page.on("request", lambda request: loaded.append(request.url))
        await visitor.open(f"/staff/users/{ben.id}", "Ben Singh")
        button = visitor.page.get_by_role("button", name="Freeze")
        await button.wait_for()
        await visitor.settled()
        assert not [url for url in loaded if "ActWindow" in url]
        for closing in ("Escape", "Enter"):
            await button.focus()
            await visitor.page.keyboard.press("Enter")
            reason = visitor.page.get_by_label("Reason")
            await expect(reason).to_be_focused()
            if closing == "Enter":
                await visitor.page.get_by_role("button", name="Not now").focus()
            await visitor.page.keyboard.press(closing)
            await reason.wait_for(state="hidden")
            await expect(button).to_be_focused()
        assert len([url for url in loaded if "ActWindow" in url]) == 1


async def test_a_dead_letter_is_inspected_replayed_and_another_one_discarded(
    chromium: Browser, stack: Running, operator: Person
) -> None:
    replayed, discarded = await died(stack, "dispute.opened"), await died(stack, "dispute.ended")
    async with visiting(chromium, stack.api_url) as visitor:
        await visitor.sign_in(operator)
        await visitor.open("/staff/dead-letters?state=dead", "Dead letters")
        found = row(visitor, "dispute.opened")
        await found.get_by_role("button", name="Inspect").click()
        await visitor.reads("specversion")
        assert await visitor.violations() == []
        await act(visitor, found.get_by_role("button", name="Replay"), "Replay")
        await act(visitor, row(visitor, "dispute.ended").get_by_role("button", name="Discard"), "Discard")
        await visitor.open("/staff/dead-letters", "Dead letters")
        await row(visitor, "dispute.ended").get_by_text("Given up", exact=True).wait_for()
    assert await recorded(operator, replayed) == [("replay_dead_letters", REASON, "taken")]
    assert await recorded(operator, discarded) == [("discard_dead_letter", REASON, "taken")]


async def test_an_account_is_frozen_once_though_the_answer_is_lost(
    chromium: Browser, stack: Running, operator: Person, ada: Person
) -> None:
    keys: list[str | None] = []

    async def lose_first(route: Route) -> None:
        keys.append(route.request.headers.get("idempotency-key"))
        answer = await route.fetch()
        await (route.abort() if len(keys) == 1 else route.fulfill(response=answer))

    async with visiting(chromium, stack.api_url) as visitor:
        await visitor.sign_in(operator)
        await visitor.open(f"/staff/users/{ada.id}", "Ada Obi")
        await visitor.page.route("**/freeze", lose_first)
        await act(visitor, visitor.page.get_by_role("button", name="Freeze"), "Freeze it")
        await visitor.reads("The account is frozen.")
        await visitor.page.get_by_role("button", name="Unfreeze").wait_for()
        await visitor.page.get_by_role("link", name="Entries, statements and limits").click()
        await visitor.reads("freeze account")
        assert await visitor.page.get_by_role("table").get_by_text("frozen").count() > 0
    assert len(keys) == 2
    assert len(set(keys)) == 1
    assert await recorded(operator, ada.account_id) == [("freeze_account", REASON, "taken")]


async def test_a_refused_act_says_why_in_its_window(
    chromium: Browser, stack: Running, operator: Person, ada: Person, admin: Person
) -> None:
    async with visiting(chromium, stack.api_url) as visitor:
        await visitor.sign_in(operator)
        await visitor.open(f"/staff/users/{ada.id}", "Ada Obi")
        await visitor.page.get_by_role("button", name="Freeze").wait_for()
        frozen = await admin.post(f"/v1/admin/accounts/{ada.account_id}/freeze", {"reason": "first"})
        assert frozen.status_code == 200
        await visitor.click("Freeze")
        dialog = visitor.page.get_by_role("dialog")
        await dialog.get_by_label("Reason").fill(REASON)
        await dialog.get_by_role("button", name="Freeze it").click()
        await dialog.get_by_role("alert").wait_for()
        assert await visitor.violations() == []


@pytest.mark.parametrize(
    ("ruling", "confirm", "state"),
    [("Reverse", "Reverse it", "reversed"), ("Reject", "Reject the dispute", "rejected")],
)
async def test_a_dispute_is_held_and_decided_with_both_statements_in_sight(
    chromium: Browser,
    stack: Running,
    http: httpx.AsyncClient,
    operator: Person,
    ada: Person,
    ruling: str,
    confirm: str,
    state: str,
) -> None:
    payee = await register(http, full_name="Kit Fox")
    paid = (await ada.pay(payee, 20_00, prefer="wait=30")).json()
    why = {"reason": f"Nothing came {ada.id[-6:]}"}
    dispute = (await ada.post(f"/v1/transfers/{paid['id']}/disputes", why)).json()["id"]
    await payee.post(f"/v1/disputes/{dispute}/statements", {"text": "It was sent"})
    async with visiting(chromium, stack.api_url) as visitor:
        await visitor.sign_in(operator)
        await visitor.open("/staff/disputes?state=open", "Disputes")
        found = row(visitor, why["reason"])
        await found.get_by_text("It was sent").wait_for()
        await act(visitor, found.get_by_role("button", name="Hold the amount"), "Hold it")
        await found.get_by_text("are held on the payee").wait_for()
        await act(visitor, found.get_by_role("button", name=ruling, exact=True), confirm)

        async def is_decided() -> bool:
            return bool((await ada.get(f"/v1/disputes/{dispute}")).json()["state"] == state)

        await until(is_decided, f"the dispute is {state}")


async def test_a_case_is_closed_with_what_was_found(
    chromium: Browser, stack: Running, http: httpx.AsyncClient, operator: Person, ben: Person
) -> None:
    payer = await rich(http, 12_000_00)
    await payer.pay(ben, 12_000_00, prefer="wait=30")
    async with visiting(chromium, stack.api_url) as visitor:
        await visitor.sign_in(operator)
        await visitor.open(f"/staff/cases?account={payer.account_id}", "Cases")
        await visitor.reads("large_amount")
        await act(visitor, visitor.page.get_by_role("button", name="Close the case"), "Close it")
        await visitor.reads(f"{REASON}")
        await visitor.page.get_by_role("listitem").get_by_text("Closed", exact=True).wait_for()


async def test_an_admin_verifies_the_books_and_rebuilds_an_account(
    chromium: Browser, stack: Running, admin: Person, ada: Person
) -> None:
    async with visiting(chromium, stack.api_url) as visitor:
        await visitor.sign_in(admin)
        await visitor.open("/staff/books", "Books")
        await act(visitor, visitor.page.get_by_role("button", name="Verify now"), "Verify")
        await visitor.page.get_by_text("The books are clean").wait_for(timeout=60_000)
        assert await visitor.violations() == []
        await visitor.click("Rebuild")
        await visitor.page.get_by_role("textbox", name="Account").fill(ada.account_id)
        await visitor.page.get_by_label("Reason").fill(REASON)
        await visitor.click("Rebuild the account")
        await visitor.reads("1 of 1 looked at, 0 rebuilt")
        assert await visitor.violations() == []


async def test_a_role_that_gives_rights_waits_for_another_admin(
    chromium: Browser, stack: Running, http: httpx.AsyncClient, admin: Person, ada: Person
) -> None:
    first, second = [await of_staff(stack, http, Role.ADMIN, name) for name in ("Abe Cole", "Zoe Hill")]
    # A third admin vouches for the address: neither of the two may.
    issued = await admin.post(f"/v1/admin/customers/{ada.id}/email-verification", {"reason": REASON})
    verified = await ada.post("/v1/auth/email-verification", {"code": issued.json()["code"]})
    assert verified.is_success, verified.text

    async def gives_the_role(person: Person, effect: str) -> None:
        async with visiting(chromium, stack.api_url) as visitor:
            await visitor.sign_in(person)
            await visitor.open(f"/staff/users/{ada.id}", "Ada Obi")
            await visitor.click("Change role")
            dialog = visitor.page.get_by_role("dialog")
            await dialog.get_by_label("Role").select_option("operator")
            await dialog.get_by_label("Reason").fill(REASON)
            await dialog.get_by_role("button", name="Set the role").click()
            await visitor.reads(effect)

    async def role() -> str:
        return str((await admin.get(f"/v1/admin/customers/{ada.id}")).json()["role"])

    await gives_the_role(first, "Requested. The role applies when another admin sets the same.")
    assert await role() == "customer"
    await gives_the_role(first, "Requested. The role applies when another admin sets the same.")
    assert await role() == "customer"
    await gives_the_role(second, "Ada Obi is operator now.")
    assert await role() == "operator"


async def test_escape_closes_an_acts_window_and_leaves_the_transfers_window_open(
    chromium: Browser, stack: Running, operator: Person, ada: Person, ben: Person
) -> None:
    refused = (await ada.pay(ben, 700_00, prefer="wait=30")).json()["id"]
    async with visiting(chromium, stack.api_url) as visitor:
        await visitor.sign_in(operator)
        await visitor.open(f"/staff/transactions?open={refused}", "All transactions")
        transfer = visitor.page.get_by_role("dialog", name="Transaction")
        await transfer.get_by_role("button", name="Try again").click()
        asked = visitor.page.get_by_role("dialog", name="Begin another attempt?")
        await asked.wait_for()
        await visitor.page.keyboard.press("Escape")
        await asked.wait_for(state="hidden")
        assert await transfer.is_visible()
        await act(visitor, transfer.get_by_role("button", name="Try again"), "Try again")
        await transfer.get_by_text("Attempt 2: Failed").wait_for()
        await visitor.page.keyboard.press("Escape")
        await transfer.wait_for(state="hidden")
        assert visitor.page.url.endswith("/staff/transactions")
