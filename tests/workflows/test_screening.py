"""What a transfer's workflow does with screening: what it keeps, what it waits for, and that nothing passes unscreened.

Of withdrawals that are opened within a minute, whichever is screened last sees all others: so three at once are flagged
at least once. Which of them, and whether more than one, is not promised.
"""

import asyncio
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

import worker
from activities.screening import ScreeningSteps
from customers.postgres import Customers
from database.connections import Database
from ledger.ids import WORLD
from ledger.postgres.account_reads import AccountReads
from ledger.postgres.transfer_reads import TransferReads
from ledger.transfers import State, TransferOrder
from screening.facts import Facts, Need
from screening.rule_sets import default_rule_set
from screening.rules import Finding, ScreeningAnswer, Verdict
from tests.connections import Connection
from tests.orders import Holder, funded, order
from tests.waiting import until
from tests.workflows.sagas import Handle, Hold, Sagas, UnreliableBook, local_steps, sagas

DEFAULT = default_rule_set(review_from_major=None, decline_from_major=None)


@pytest.fixture
async def saga(client: Client, book: UnreliableBook) -> AsyncIterator[Sagas]:
    async with sagas(client, book) as running:
        yield running


@pytest.fixture
async def rich(customers: Customers, book: UnreliableBook) -> Holder:
    """With 100,000.00."""
    owner = await funded(customers, book, 10_000_000)
    book.calls.clear()
    return owner


@pytest.fixture
def wanted(alice: Holder, bob: Holder) -> TransferOrder:
    return order(alice.id, alice.account_id, bob.account_id, 2_500)


def withdrawal(payer: Holder, amount_minor: int = 100) -> TransferOrder:
    return order(payer.id, payer.account_id, WORLD, amount_minor)


async def verdict_on(owner: Connection, wanted: TransferOrder) -> tuple[str, list[str], Any] | None:
    """The answer, the codes of all findings, and the facts that are kept."""
    row = await owner.fetchrow(
        """
        SELECT answer, facts::text, ARRAY(SELECT each->>'code' FROM jsonb_array_elements(findings) each) AS codes
        FROM verdicts WHERE transfer_id = $1
        """,
        wanted.transfer_id,
    )
    return (row["answer"], row["codes"], row["facts"]) if row else None


async def flags_of(owner: Connection, account: Holder) -> list[tuple[str, str]]:
    """What the open case of an account was flagged for: transfers, and codes."""
    rows = await owner.fetch(
        """
        SELECT transfer_id, code FROM case_flags JOIN cases ON cases.id = case_id
        WHERE account_id = $1 AND closed_at IS NULL ORDER BY flagged_at
        """,
        account.account_id,
    )
    return [(row["transfer_id"], row["code"]) for row in rows]


async def made_older(owner: Connection, seconds: int) -> None:
    """Let all transfers have been opened so much earlier. Their rows refuse that, from everybody else."""
    async with owner.transaction():
        await owner.execute("SET LOCAL session_replication_role = replica")
        await owner.execute("UPDATE transfers SET created_at = created_at - make_interval(secs => $1)", seconds)


async def test_a_plain_transfer_is_screened_without_facts_and_keeps_which_rules_let_it_pass(
    saga: Sagas, owner: Connection, wanted: TransferOrder
) -> None:
    handle = await saga.start(wanted)
    assert (await handle.result()).state is State.COMPLETED
    assert "screen_with_facts" not in local_steps(await handle.fetch_history())
    screened_by = await owner.fetchval("SELECT screened_by FROM transfers WHERE id = $1", wanted.transfer_id)
    assert screened_by == DEFAULT.id
    assert await owner.fetchval("SELECT rules FROM rule_sets WHERE id = $1", screened_by) is not None
    assert await owner.fetchval("SELECT count(*) FROM verdicts") == 0


@pytest.mark.parametrize("kind", ["transfer", "withdrawal", "deposit"])
async def test_a_large_amount_moves_and_its_account_is_flagged(
    saga: Sagas, owner: Connection, rich: Holder, bob: Holder, kind: str
) -> None:
    wanted, marked = {
        "transfer": (order(rich.id, rich.account_id, bob.account_id, 1_000_000), rich),
        "withdrawal": (withdrawal(rich, 1_000_000), rich),
        "deposit": (order(bob.id, WORLD, bob.account_id, 1_000_000), bob),
    }[kind]
    assert (await saga.run(wanted)).state is State.COMPLETED
    assert (await verdict_on(owner, wanted) or [None])[:2] == ("flag", ["large_amount"])
    assert await flags_of(owner, marked) == [(wanted.transfer_id, "large_amount")]


async def test_a_very_large_amount_waits_for_a_person_whatever_is_flagged(
    saga: Sagas, owner: Connection, transfer_reads: TransferReads, rich: Holder, bob: Holder
) -> None:
    wanted = order(rich.id, rich.account_id, bob.account_id, 2_500_000)
    handle = await saga.start(wanted)

    async def is_in_review() -> bool:
        transfer = await transfer_reads.visible(rich.id, wanted.transfer_id)
        return transfer is not None and transfer.state is State.IN_REVIEW

    await until(is_in_review, "the transfer is in review")
    assert (await verdict_on(owner, wanted) or [None])[:2] == ("review", ["large_amount", "amount_review"])
    await handle.cancel()
    await handle.result()


@pytest.mark.parametrize(("amount_minor", "state"), [(999_999, State.COMPLETED), (1_000_000, State.FAILED)])
async def test_an_amount_is_declined_only_where_the_settings_say_so(
    client: Client, book: UnreliableBook, rich: Holder, bob: Holder, amount_minor: int, state: State
) -> None:
    async with sagas(client, book, decline_from_major=10_000) as saga:
        ended = await saga.run(order(rich.id, rich.account_id, bob.account_id, amount_minor))
    assert ended.state is state
    assert (ended.failure.code if ended.failure else None) == (None if state is State.COMPLETED else "fraud_declined")


async def test_the_third_withdrawal_within_a_minute_is_flagged_with_the_facts_that_showed_it(
    saga: Sagas, owner: Connection, rich: Holder
) -> None:
    one, two, three = (withdrawal(rich) for _ in range(3))
    for each in (one, two):
        assert (await saga.run(each)).state is State.COMPLETED
    assert await flags_of(owner, rich) == []
    assert (await saga.run(three)).state is State.COMPLETED
    assert await flags_of(owner, rich) == [(three.transfer_id, "withdrawals_in_a_minute")]
    seen = '{"sent_withdrawal_within_60_seconds": {"sum": 300, "count": 3}}'
    assert await verdict_on(owner, three) == ("flag", ["withdrawals_in_a_minute"], seen)


async def test_withdrawals_that_failed_or_are_older_than_a_minute_do_not_count(
    saga: Sagas, owner: Connection, alice: Holder
) -> None:
    old = withdrawal(alice)
    await saga.run(old)
    await made_older(owner, 61)
    assert (await saga.run(withdrawal(alice, 1_000_000))).state is State.FAILED
    for _ in range(2):
        await saga.run(withdrawal(alice))
    assert await flags_of(owner, alice) == []


async def test_of_three_withdrawals_at_once_at_least_one_is_flagged_into_one_case(
    saga: Sagas, owner: Connection, customers: Customers, book: UnreliableBook
) -> None:
    payers = [await funded(customers, book, 10_000) for _ in range(4)]
    await asyncio.gather(*(saga.run(withdrawal(payer)) for payer in payers for _ in range(3)))
    for payer in payers:
        assert len(await flags_of(owner, payer)) in (1, 2, 3)
    assert await owner.fetchval("SELECT count(*) FROM cases") == len(payers)


async def test_a_withdrawal_screened_long_after_it_was_opened_still_sees_those_of_its_minute(
    saga: Sagas, owner: Connection, rich: Holder
) -> None:
    hold = Hold()
    saga.book.after["open"].append(hold)
    late = withdrawal(rich)
    handle = await saga.start(late)
    await hold.reached.wait()
    for _ in range(2):
        await saga.run(withdrawal(rich))
    await made_older(owner, 300)
    hold.released.set()
    await handle.result()
    assert [code for _, code in await flags_of(owner, rich)].count("withdrawals_in_a_minute") >= 1


@dataclass(frozen=True)
class Unreliable:
    """A rule that flags everything, and raises what a test puts here first."""

    errors: list[Exception]
    name: str = "unreliable"

    def needs(self, order: TransferOrder) -> Collection[Need]:
        return ()

    def screen(self, order: TransferOrder, facts: Facts) -> Finding | None:
        if self.errors:
            raise self.errors[0]
        return Finding(ScreeningAnswer.FLAG, self.name, "Flagged.")


@pytest.mark.parametrize(
    "error",
    [ConnectionError("The provider does not answer"), ApplicationError("Not configured", type="x", non_retryable=True)],
    ids=["no answer", "an error that reads like a refusal"],
)
async def test_screening_that_fails_allows_nothing_and_a_cancel_ends_the_wait_for_it(
    error: Exception,
    time_skipping: WorkflowEnvironment,
    book: UnreliableBook,
    account_reads: AccountReads,
    alice: Holder,
    wanted: TransferOrder,
) -> None:
    async with sagas(time_skipping.client, book, [Unreliable([error])]) as saga:
        handle = await saga.start(wanted)

        async def is_retried() -> bool:
            description = await handle.describe()
            return any(activity.attempt > 2 for activity in description.raw_description.pending_activities)

        await until(is_retried, "screening is tried again where operators see it")
        account = await account_reads.own(alice.id, alice.account_id)
        assert account is not None
        assert account.balance_minor == 10_000
        await handle.cancel()
        assert (await handle.result()).state is State.CANCELLED
    assert "debit" not in book.calls


@pytest.mark.parametrize("step", ["screen_transfer", "screen_with_facts"])
async def test_screening_that_ends_for_good_without_a_verdict_is_begun_again_after_a_pause_and_opens_nothing_anew(
    step: str,
    time_skipping: WorkflowEnvironment,
    book: UnreliableBook,
    owner: Connection,
    alice: Holder,
    wanted: TransferOrder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runs: list[str] = []

    def fail_at(name: str) -> None:
        runs.append(name)
        if name == step and runs.count(step) <= 3:
            raise ApplicationError("This rule is not configured", type="x", non_retryable=True)

    class Broken(ScreeningSteps):
        @activity.defn
        async def screen_transfer(self, order: TransferOrder) -> Verdict:
            fail_at("screen_transfer")
            return await ScreeningSteps.screen_transfer(self, order)

        @activity.defn
        async def screen_with_facts(self, order: TransferOrder) -> Verdict:
            fail_at("screen_with_facts")
            return await ScreeningSteps.screen_with_facts(self, order)

    monkeypatch.setattr(worker, "ScreeningSteps", Broken)
    async with sagas(time_skipping.client, book, [Unreliable([])]) as saga:
        assert (await saga.run(wanted)).state is State.COMPLETED
    assert book.calls.count("open") == 1
    assert runs.count(step) == 4
    assert await flags_of(owner, alice) == [(wanted.transfer_id, "unreliable")]


@pytest.mark.parametrize("lost", ["before", "after"])
async def test_a_flag_is_written_once_though_the_step_that_writes_it_is_repeated(
    lost: str,
    client: Client,
    book: UnreliableBook,
    owner: Connection,
    alice: Holder,
    wanted: TransferOrder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The line breaks just before or just after the verdict is committed, twice."""
    faults = [ConnectionError("the line broke")] * 2

    class Lossy(ScreeningSteps):
        @activity.defn
        async def screen_with_facts(self, order: TransferOrder) -> Verdict:
            if lost == "before" and faults:
                raise faults.pop()
            answer = await ScreeningSteps.screen_with_facts(self, order)
            if faults:
                raise faults.pop()
            return answer

    monkeypatch.setattr(worker, "ScreeningSteps", Lossy)
    async with sagas(client, book, [Unreliable([])]) as saga:
        assert (await saga.run(wanted)).state is State.COMPLETED
    assert await flags_of(owner, alice) == [(wanted.transfer_id, "unreliable")]
    assert await owner.fetchval("SELECT count(*) FROM verdicts") == 1


async def test_a_transfer_waits_while_the_facts_cannot_be_read(
    client: Client, book: UnreliableBook, owner: Connection, database: Database, rich: Holder
) -> None:
    await owner.execute("ALTER TABLE verdicts RENAME TO verdicts_away")
    async with sagas(client, book) as saga:
        handle = await saga.start(withdrawal(rich))
        await until(lambda: is_in_doubt(handle), "screening is in doubt")
        assert "debit" not in book.calls
        await owner.execute("ALTER TABLE verdicts_away RENAME TO verdicts")
        assert (await handle.result()).state is State.COMPLETED


async def is_in_doubt(handle: Handle) -> bool:
    pending = (await handle.describe()).raw_description.pending_activities
    return any(each.activity_type.name == "screen_with_facts" and each.attempt > 1 for each in pending)
