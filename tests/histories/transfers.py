"""Transfers, as customers and accounts make them end."""

from dataclasses import replace

from customers.postgres import Customers
from ledger.accounts import AccountStatus
from ledger.ids import WORLD
from tests.account_status import set_account_status
from tests.histories.stage import RecordedAction, Stage, path
from tests.orders import ENCRYPTION, Holder, funded, later_attempt, order
from tests.workflows.sagas import line_breaks


def freeze_before(stage: Stage, step: str, owner: Holder) -> None:
    async def freeze() -> None:
        await set_account_status(stage.saga.book.database, owner.account_id, AccountStatus.FROZEN)

    stage.saga.book.before[step].append(freeze)


async def cancelled_during(stage: Stage, step: str) -> RecordedAction:
    handle, hold = await stage.held_at(step, stage.order(100))
    await handle.cancel()
    hold.released.set()
    return handle


@path()
async def completed(stage: Stage) -> RecordedAction:
    return await stage.start(100)


@path()
async def deposit(stage: Stage) -> RecordedAction:
    return await stage.saga.start(order(stage.ben.id, WORLD, stage.ben.account_id, 100))


@path()
async def repeated_transaction_id(stage: Stage) -> RecordedAction:
    for _ in range(2):
        handle = await stage.saga.start(order(stage.ben.id, WORLD, stage.ben.account_id, 100, transaction_id="bank-1"))
        await handle.result()
    return handle


@path()
async def insufficient_funds(stage: Stage) -> RecordedAction:
    return await stage.start(900_000)


@path()
async def flagged_by_screening(stage: Stage) -> RecordedAction:
    rich = await funded(stage.customers, stage.saga.book, 1_000_000)
    return await stage.saga.start(order(rich.id, rich.account_id, stage.ben.account_id, 1_000_000))


@path(decline_from_major=10_000)
async def declined_by_screening(stage: Stage) -> RecordedAction:
    rich = await funded(Customers(stage.saga.book.database, encryption=ENCRYPTION), stage.saga.book, 1_000_000)
    return await stage.saga.start(order(rich.id, rich.account_id, stage.ben.account_id, 1_000_000))


@path()
async def refused_by_the_debit(stage: Stage) -> RecordedAction:
    freeze_before(stage, "debit", stage.ada)
    return await stage.start(100)


@path()
async def compensated(stage: Stage) -> RecordedAction:
    freeze_before(stage, "credit", stage.ben)
    return await stage.start(100)


@path()
async def every_step_in_doubt(stage: Stage) -> RecordedAction:
    for step in ("open", "debit", "credit", "notify"):
        stage.saga.book.after[step] += [line_breaks] * 2
    return await stage.start(100)


@path()
async def refund_in_doubt(stage: Stage) -> RecordedAction:
    stage.saga.book.before["refund"] += [line_breaks] * 2
    return await compensated(stage)


@path()
async def cancelled_before_its_debit(stage: Stage) -> RecordedAction:
    return await cancelled_during(stage, "open")


@path()
async def cancelled_during_its_debit(stage: Stage) -> RecordedAction:
    return await cancelled_during(stage, "debit")


@path()
async def cancelled_too_late(stage: Stage) -> RecordedAction:
    return await cancelled_during(stage, "credit")


@path()
async def cancelled_while_notifying(stage: Stage) -> RecordedAction:
    return await cancelled_during(stage, "notify")


@path()
async def met_in_transit(stage: Stage) -> RecordedAction:
    wanted = stage.order(100)
    await stage.saga.run(wanted)
    return await stage.saga.start(replace(wanted, workflow_id=f"{wanted.workflow_id}/again"))


@path()
async def second_attempt(stage: Stage) -> RecordedAction:
    freeze_before(stage, "credit", stage.ben)
    wanted = stage.order(100)
    await stage.saga.run(wanted)
    await set_account_status(stage.saga.book.database, stage.ben.account_id, AccountStatus.ACTIVE)
    return await stage.saga.start(later_attempt(wanted, 2))
