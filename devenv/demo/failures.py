"""The chapters in which something breaks: a destination that is frozen in transit, and a process that is killed.

The demo makes them happen at the right moment by locking an account between two steps of a transfer.
"""

import asyncio
import os
import signal
import time

from devenv.demo.context import DemoContext, failure_code, failure_text, usd
from devenv.demo.customers import CURRENCY
from devenv.demo.postgres import holding
from devenv.stack import Running
from ledger.accounts import AccountStatus
from ledger.postgres.audit import audit
from ledger.transfers import Leg, State

IN_FLIGHT = 10
SETTLED_WITHIN_SECONDS = 20.0
RECOVERED_WITHIN_SECONDS = 60.0


async def freeze_in_transit(demo: DemoContext) -> None:
    """A credit that is refused after the debit: the amount goes back."""
    ada, ben, output = demo.ada, demo.ben, demo.output
    output.step(
        "Ben's account is frozen while money is on its way to him",
        "Ada's account is debited, but Ben's can no longer be credited: the amount goes back to Ada.",
        "To freeze at that moment every time, the demo locks Ben's account until the debit is done.",
    )
    before = await demo.holdings()
    began = time.monotonic()
    try:
        async with holding(demo.database, ben.account.id) as account:
            answer = await ada.send(ben, 25_000, "gift", wait=False)
            transfer_id = answer.accepted.id
            await demo.until_debited(transfer_id)
            in_transit = await demo.holdings()
            await account.set_status(AccountStatus.FROZEN)
        ended = await demo.until_final(transfer_id, SETTLED_WITHIN_SECONDS)
        took_ms = (time.monotonic() - began) * 1000
    finally:
        async with holding(demo.database, ben.account.id) as account:
            await account.set_status(AccountStatus.ACTIVE)
    statements = [await who.entries_of(transfer_id) for who in (ada, ben)]

    demo.show("Ada → Ben", answer)
    demo.links.append(("Ada → Ben, gift", ended))
    output.note(f"debited: {usd(25_000)} is in transit. The demo freezes Ben's account now.")
    output.note(f"{ended.state} after {took_ms:.0f} ms. {failure_text(ended)}")
    output.table(
        ("statement", "leg", "amount", "before", "after"),
        [
            (who.name, entry.leg, usd(entry.amount), usd(entry.balance_before), usd(entry.balance_after))
            for who, entries in zip((ada, ben), statements, strict=True)
            for entry in entries
        ],
        numbers=("amount", "before", "after"),
    )
    output.check(
        f"{usd(25_000)} had left Ada's account and not reached Ben's",
        expected=before.after(ada=-25_000),
        found=in_transit,
    )
    output.check(
        "The transfer is compensated, with the reason account_frozen",
        expected=(State.COMPENSATED, "account_frozen"),
        found=(ended.state, failure_code(ended)),
    )
    output.check(
        "Ada's statement shows the debit and its refund; Ben's shows neither",
        expected=([(Leg.DEBIT, -25_000), (Leg.REFUND, 25_000)], []),
        found=tuple([(entry.leg, entry.amount) for entry in entries] for entries in statements),
    )
    await demo.check_no_money_moved(before)


async def crash(demo: DemoContext, running: Running) -> None:
    """Kill the API and its worker with money in transit. Only for a stack that nobody else uses."""
    ada, ben, output = demo.ada, demo.ben, demo.output
    amount_minor, total_minor = 1_000, 1_000 * IN_FLIGHT
    keys = [f"c{number}" for number in range(1, IN_FLIGHT + 1)]
    output.step(
        f"The service is killed with {IN_FLIGHT} transfers in progress",
        "kill -9 ends the API and its worker between the debits and the credits. Nothing can clean up.",
    )
    before = await demo.holdings()
    pid = running.pids["api"]
    async with holding(demo.database, ben.account.id):
        sent = (ada.send(ben, amount_minor, key, wait=False) for key in keys)
        ids = [answer.accepted.id for answer in await asyncio.gather(*sent)]
        for transfer_id in ids:
            await demo.until_debited(transfer_id)
        os.kill(pid, signal.SIGKILL)
        killed = time.monotonic()
        found = await audit(demo.database)
    in_transit = sum(books.in_transit_minor for books in found.totals if books.currency == CURRENCY)
    output.note(f"{IN_FLIGHT} transfers of {usd(amount_minor)} from Ada to Ben are debited. Process {pid} is killed.")
    output.check(
        f"The books balance even now: {usd(in_transit)} is in transit, accounted for to the cent",
        expected=([], True),
        found=(found.broken, in_transit >= total_minor),
    )

    await demo.until_ready(RECOVERED_WITHIN_SECONDS)
    back = time.monotonic() - killed
    ended = [await demo.until_final(transfer_id, RECOVERED_WITHIN_SECONDS) for transfer_id in ids]
    done = time.monotonic() - killed
    again = await asyncio.gather(*(ada.send(ben, amount_minor, key) for key in keys))
    demo.links.append((f"Ada → Ben, {keys[0]} of {IN_FLIGHT} that survived the crash", ended[0]))
    output.note(f"The service is back after {back:.1f} s. After {done:.1f} s every transfer has ended.")
    output.check(
        f"All {IN_FLIGHT} transfers are completed",
        expected=[State.COMPLETED] * IN_FLIGHT,
        found=[transfer.state for transfer in ended],
    )
    output.check(
        f"All {IN_FLIGHT} requests, sent again, return the same transfers",
        expected=[(transfer_id, True) for transfer_id in ids],
        found=[(answer.accepted.id, answer.replayed) for answer in again],
    )
    output.check(
        f"Exactly {usd(total_minor)} moved, once",
        expected=before.after(ada=-total_minor, ben=total_minor),
        found=await demo.holdings(),
    )
