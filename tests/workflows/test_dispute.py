"""A dispute waits, is decided once, and ends in one reversal or none."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment

from disputes.dispute import DisputeState
from ledger.ids import CustomerId, TransferId
from ledger.postgres.transfer_reads import TransferReads
from ledger.refusals import OrderForged
from tests.orders import completed, order, staff
from tests.waiting import until
from tests.workflows.disputing import TERMS, Case, decide, has_read
from tests.workflows.sagas import Sagas, UnreliableBook, details, sagas
from workflows.dispute import DisputeWorkflow
from workflows.search_attributes import (
    AMOUNT_MINOR,
    CURRENCY,
    DESTINATION_ACCOUNT,
    DISPUTE_STATE,
    SOURCE_ACCOUNT,
)


@pytest.fixture
async def saga(client: Client, book: UnreliableBook) -> AsyncIterator[Sagas]:
    async with sagas(client, book, recovery_grace_seconds=0) as running:
        yield running


async def test_a_dispute_that_nobody_decides_expires_on_its_deadline(
    time_skipping: WorkflowEnvironment, book: UnreliableBook, case: Case
) -> None:
    began = await time_skipping.get_current_time()
    async with sagas(time_skipping.client, book) as saga:
        assert await (await case.start(saga)).result() is DisputeState.EXPIRED
    assert await time_skipping.get_current_time() - began >= timedelta(days=13, hours=23)
    assert (await case.now()).state is DisputeState.EXPIRED


async def test_a_decision_whose_signal_is_lost_is_read_long_before_the_deadline(
    time_skipping: WorkflowEnvironment, book: UnreliableBook, case: Case
) -> None:
    async with sagas(time_skipping.client, book) as saga:
        handle = await case.start(saga)
        await until(lambda: has_read(handle, 1), "the workflow has found it open")
        await case.decide(case.reverse())
        assert await handle.result() is DisputeState.REVERSED
        history = await handle.fetch_history()
    reads = [
        event.event_time.ToDatetime()
        for event in history.events
        if event.HasField("activity_task_scheduled_event_attributes")
    ]
    assert reads[1] - reads[0] < timedelta(days=1)


async def test_a_decision_by_update_brings_the_money_back_and_is_recorded(saga: Sagas, case: Case) -> None:
    handle = await case.start(saga)
    await decide(handle, case.reverse(1_000))
    assert await handle.result() is DisputeState.REVERSED
    ended = await case.now()
    assert ended.reversal_transfer_id is not None
    reversal = await TransferReads(case.database).visible(case.payer.id, ended.reversal_transfer_id)
    assert reversal is not None
    assert (reversal.reverses_transfer_id, reversal.amount_minor) == (case.dispute.transfer_id, 1_000)
    assert await case.balances() == [8_500, 1_500]
    actions = await case.actions()
    assert [(a.actor_id, a.action, a.reason) for a in actions] == [
        (case.staff, "decide_dispute", "No proof of delivery")
    ]


async def test_a_reversal_whose_fingerprint_key_is_retired_before_it_opens_is_signed_again(
    saga: Sagas, book: UnreliableBook, case: Case
) -> None:
    async def key_is_retired() -> None:
        raise OrderForged(TransferId("trf_whose_key_is_retired"))

    book.before["open"].append(key_is_retired)
    handle = await case.start(saga)
    await decide(handle, case.reverse(1_000))
    assert await handle.result() is DisputeState.REVERSED
    assert await case.balances() == [8_500, 1_500]


async def test_a_rejection_leaves_the_money_where_it_is(saga: Sagas, case: Case) -> None:
    handle = await case.start(saga)
    await decide(handle, case.reject())
    assert await handle.result() is DisputeState.REJECTED
    assert await case.balances() == [7_500, 2_500]


async def test_who_may_not_decide_is_refused_and_the_dispute_stays_open(saga: Sagas, case: Case) -> None:
    handle = await case.start(saga)
    for decision in (
        replace(case.reverse(), decider=case.payer.id),
        replace(case.reverse(), decider=case.payee.id),
        replace(case.reverse(), decider=CustomerId(" ")),
        replace(case.reverse(), decider=CustomerId("olu")),
        case.reverse(2_501),
        replace(case.reverse(), reason=" "),
        replace(case.reject(), amount_minor=5),
    ):
        with pytest.raises(WorkflowUpdateFailedError):
            await decide(handle, decision)
    assert (await case.now()).state is DisputeState.OPEN
    await handle.terminate()


async def test_a_refused_decision_is_shown_where_operators_look_until_the_dispute_is_decided(
    saga: Sagas, case: Case
) -> None:
    handle = await case.start(saga)
    with pytest.raises(WorkflowUpdateFailedError):
        await decide(handle, case.reverse(2_501))
    # Whatever the workflow reads afterwards: its row for the first time, or a statement.
    await case.disputes.add_statement(case.dispute.id, case.payee.id, "It was sent on Monday")
    await handle.signal(DisputeWorkflow.look_again)

    async def statement_is_shown() -> bool:
        return "Statements so far: 1" in await details(handle)

    await until(statement_is_shown, "the workflow has read the statement")
    shown = await details(handle)
    assert "REFUSED the last `decide` (decision_refused): `The amount is more than what is left to reverse.`" in shown
    assert f"` About {case.dispute.transfer_id}, paid by " in shown
    await decide(handle, case.reject())
    await handle.result()
    assert "REFUSED" not in await details(handle)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"amount": 400}, "JSON object with the fields decider, ruling, reason, amount_minor, and no others"),
        ({"amount_minor": 4.5}, "amount_minor is a whole number"),
        ({"amount_minor": True}, "amount_minor is a whole number"),
        ({"amount_minor": "400"}, "amount_minor is a whole number"),
        ({"ruling": "approve"}, "ruling is reverse or reject"),
        ({"reason": None}, "reason is missing"),
        ({"decider": 7}, "decider is missing"),
        ({"decider": "olu"}, "decider is the customer id"),
    ],
)
async def test_a_mistyped_decision_is_refused_and_moves_nothing(
    saga: Sagas, case: Case, changes: dict[str, Any], why: str
) -> None:
    handle = await case.start(saga)
    typed = {"decider": case.staff, "ruling": "reverse", "reason": "No proof of delivery"} | changes
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await handle.execute_update("decide", typed, result_type=str)
    assert why in str(refused.value.cause)
    assert (await case.now()).state is DisputeState.OPEN
    await handle.terminate()


async def test_statements_and_decisions_from_before_the_workflow_runs_count(saga: Sagas, case: Case) -> None:
    await case.disputes.add_statement(case.dispute.id, case.payee.id, "It was sent on Monday")
    await case.disputes.add_statement(case.dispute.id, case.payer.id, "It was not")
    await case.decide(case.reverse())
    assert await (await case.start(saga)).result() is DisputeState.REVERSED
    found = await case.disputes.find(case.dispute.id)
    assert found is not None
    assert [said.author_id for said in found[1]] == [case.payee.id, case.payer.id]


async def test_a_reversal_that_fails_is_told_and_the_payer_may_dispute_again(
    saga: Sagas, book: UnreliableBook, case: Case
) -> None:
    await completed(book, order(case.payee.id, case.payee.account_id, case.payer.account_id, 2_500))
    await case.decide(case.reverse())
    assert await (await case.start(saga)).result() is DisputeState.REVERSAL_FAILED
    ended = await case.now()
    assert ended.reversal_transfer_id is not None
    # Both parties read it: not a word about the payee's account.
    assert ended.outcome == "Reversing $25.00 was decided, and could not be done."
    assert await case.disputes.open(case.payer.id, case.dispute.transfer_id, "Still no goods", TERMS) is not None


async def test_of_two_decisions_at_once_the_first_counts(saga: Sagas, case: Case) -> None:
    other = await staff(case.database)
    handle = await case.start(saga)
    answers = await asyncio.gather(
        decide(handle, case.reverse()),
        case.decide(replace(case.reject(), decider=other)),
        return_exceptions=True,
    )
    assert len([answer for answer in answers if isinstance(answer, BaseException)]) == 1
    with suppress(RPCError):  # it may have ended by the update already
        await handle.signal(DisputeWorkflow.look_again)
    state = await handle.result()
    brought_back = (await case.balances())[0] == 10_000
    assert brought_back == (state is DisputeState.REVERSED)
    assert len(await case.actions()) == 1


async def test_a_dispute_can_be_filtered_by_state_accounts_and_amount_and_shows_its_parties(
    saga: Sagas, case: Case
) -> None:
    handle = await case.start(saga)

    async def is_published() -> bool:
        return (await handle.describe()).typed_search_attributes.get(DISPUTE_STATE) == "open"

    await until(is_published, "the dispute's state can be filtered by")
    described = (await handle.describe()).typed_search_attributes
    assert described.get(SOURCE_ACCOUNT) == case.payer.account_id
    assert described.get(DESTINATION_ACCOUNT) == case.payee.account_id
    assert (described.get(AMOUNT_MINOR), described.get(CURRENCY)) == (2_500, "USD")
    shown: list[object] = [await handle.query("__temporal_workflow_metadata")]
    assert f"paid by {case.payer.id} to {case.payee.id}" in str(shown[0])
    assert "Amount: $25.00." in str(shown[0])
    await decide(handle, case.reject())
    assert await handle.result() is DisputeState.REJECTED
    assert (await handle.describe()).typed_search_attributes.get(DISPUTE_STATE) == "rejected"
