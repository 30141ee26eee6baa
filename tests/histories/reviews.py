"""Transfers that people decide about, one by one or many at once."""

import asyncio
from datetime import timedelta

from ledger.transfers import State, Step
from reviews.postgres import Reviews
from reviews.review import Decision, Ruling
from tests.histories.stage import RecordedAction, Stage, path
from tests.waiting import until
from tests.workflows.sagas import Handle
from workflows.transfer.saga import TransferWorkflow

REVIEWED, TWICE = 2_500, 5_000
FROM = {"review_from_major": 20, "four_eyes_from_major": 50}


def approval(stage: Stage) -> Decision:
    return Decision(stage.olu, Ruling.APPROVE, "known customer")


def second_approval(stage: Stage) -> Decision:
    return Decision(stage.pia, Ruling.APPROVE, "called the customer")


def rejection(stage: Stage) -> Decision:
    return Decision(stage.pia, Ruling.REJECT, "asks to be paid twice")


async def in_review(stage: Stage, amount_minor: int = REVIEWED) -> Handle:
    wanted = stage.order(amount_minor)
    handle = await stage.saga.start(wanted)
    await stage.is_now(wanted, State.IN_REVIEW)
    return handle


async def shows(handle: Handle, what: str) -> None:
    """Wait until something with this in it has happened."""

    async def happened() -> bool:
        return what in (await handle.fetch_history()).to_json()

    await until(happened, f"the history shows {what}")


@path(**FROM)
async def review_approved(stage: Stage) -> RecordedAction:
    handle = await in_review(stage)
    await handle.execute_update("decide", approval(stage))
    return handle


@path(**FROM)
async def review_rejected(stage: Stage) -> RecordedAction:
    handle = await in_review(stage)
    await handle.execute_update("decide", rejection(stage))
    return handle


@path(**FROM)
async def review_by_four_eyes(stage: Stage) -> RecordedAction:
    handle = await in_review(stage, TWICE)
    for decision in (approval(stage), second_approval(stage)):
        await handle.execute_update("decide", decision)
    return handle


@path(**FROM)
async def review_decided_early(stage: Stage) -> RecordedAction:
    handle, hold = await stage.held_at("open", stage.order(REVIEWED))
    deciding = asyncio.create_task(handle.execute_update("decide", approval(stage)))
    await shows(handle, "workflowExecutionUpdateAccepted")
    hold.released.set()
    await deciding
    return handle


@path(**FROM)
async def review_cancelled(stage: Stage) -> RecordedAction:
    handle = await in_review(stage)
    await handle.cancel()
    return handle


@path(**FROM)
async def review_found_again(stage: Stage) -> RecordedAction:
    wanted = stage.order(TWICE)
    first = await stage.saga.start(wanted)
    await stage.is_now(wanted, State.IN_REVIEW)
    await first.execute_update("decide", approval(stage))
    await first.terminate("lost")
    second = await stage.saga.start(wanted)
    await second.execute_update("decide", second_approval(stage))
    return second


@path(**FROM, review_deadline_seconds=1, review_reminder_seconds=5)
async def review_expired(stage: Stage) -> RecordedAction:
    return await in_review(stage)


@path(**FROM, review_deadline_seconds=2, review_reminder_seconds=1)
async def review_reminded_and_expired(stage: Stage) -> RecordedAction:
    return await in_review(stage)


@path(**FROM, review_reminder_seconds=1)
async def review_reminded(stage: Stage) -> RecordedAction:
    handle = await in_review(stage)
    await until(lambda: _timer_fired(handle), "the reminder is due")
    await handle.execute_update("decide", approval(stage))
    return handle


async def _timer_fired(handle: Handle) -> bool:
    return any(event.HasField("timer_fired_event_attributes") for event in (await handle.fetch_history()).events)


@path(**FROM)
async def review_decided_at_the_api(stage: Stage) -> RecordedAction:
    wanted = stage.order(REVIEWED)
    handle = await stage.saga.start(wanted)
    await stage.is_now(wanted, State.IN_REVIEW)
    await Reviews(stage.saga.book.database, timedelta(0)).decide(Step(wanted.transfer_id, 1), approval(stage))
    await handle.signal(TransferWorkflow.review_changed)
    return handle
