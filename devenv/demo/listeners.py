"""The chapters about who hears of events: a browser at once, and a shop whose endpoint is down at first."""

import asyncio
import time
from contextlib import suppress
from typing import Any

from devenv.demo.browser import open_socket
from devenv.demo.context import DemoContext
from devenv.demo.shop import Shop
from ledger.ids import TransferId
from ledger.transfers import State

# The first pause of the schedule is five seconds, and a crash may come between.
TRIED_WITHIN_SECONDS = 25.0
TAKEN_WITHIN_SECONDS = 15.0

FAILURES = 2


async def sell(demo: DemoContext, shop: Shop) -> TransferId:
    """Ada pays. Ben's browser hears of it; her shop's endpoint, which should hear of it, too, is down."""
    demo.output.step(
        "Ben's browser listens at an open socket, and the webhook endpoint of Ada's shop is down",
        "The endpoint should hear of each debit of her account, and answers 500. The money waits for neither.",
    )
    added = await demo.ada.add_endpoint(shop.url, "transfer.debited")
    assert added.secret is not None, "it is shown when the endpoint is made"
    shop.secret = added.secret
    demo.endpoints.append(added)
    async with open_socket(demo.http, demo.ben.authorization) as socket:
        sold = await demo.ada.send(demo.ben, 500, "shop")
        answered = time.monotonic()
        heard: dict[str, Any] | None = None
        with suppress(TimeoutError):
            async with asyncio.timeout(TAKEN_WITHIN_SECONDS):
                # Of the salaries, some may still be on their way.
                while heard is None or heard["transferId"] != sold.accepted.id:
                    heard = await socket.notification()
        late_ms = (time.monotonic() - answered) * 1000
    demo.show("Ada → Ben", sold)
    demo.output.check("The transfer is completed", expected=State.COMPLETED, found=sold.accepted.state)
    if heard is not None:
        demo.output.note(f"Ben's browser shows, {late_ms:.0f} ms after Ada's answer: {heard['body']}")
    demo.output.check(
        "A notification of this transfer arrived at Ben's open socket",
        expected=sold.accepted.id,
        found=heard["transferId"] if heard else None,
    )
    return sold.accepted.id


async def hear(demo: DemoContext, shop: Shop, sold: TransferId) -> None:
    """The endpoint is up again, and gets the event that it has failed to take, and all that came since."""
    output = demo.output
    output.step(
        f"The shop's endpoint is up again, after {FAILURES} failures",
        "The event would come by itself within a minute. Ada asks for all that the endpoint has missed now.",
    )

    async def tried_in_vain() -> bool | None:
        return True if len(shop.tried) >= FAILURES else None

    async def taken() -> bool | None:
        return True if len(shop.taken) >= debits else None

    await demo.until(tried_in_vain, f"tried {FAILURES} times", TRIED_WITHIN_SECONDS)
    debits = len(await demo.ada.debits_since(sold))
    shop.is_up = True
    (endpoint,) = demo.endpoints
    await demo.ada.replay(endpoint.id, endpoint.created_at)
    await demo.until(taken, "taken", TAKEN_WITHIN_SECONDS)
    first, *others = shop.taken
    output.note(
        f"{first['type']} of {first['subject']}, position {int(first['sequence'])}; {len(others)} more behind it"
    )
    output.check(
        f"After {FAILURES} failures the shop has its event, signed, with the id of the first attempt",
        expected=(sold, shop.tried[0]),
        found=(first["subject"], first["id"]),
    )
    output.check(
        "It has each debit of Ada's account once, in the order of her statement",
        expected=[entry.transfer_id for entry in await demo.ada.debits_since(sold)],
        found=[event["subject"] for event in shop.taken],
    )
