"""Whatever people do, in any order and at any moment, with faults on: no money is made or lost, and it ends.

A storm is a list of actions against one transfer and its reversals: instructions, decisions, cancels, terminations,
resets to any task, duplicate starts, retries, recoveries, frozen accounts, reversals by several people at once,
disputes with all that happens to them, and steps whose answers are lost. `HYPOTHESIS_PROFILE=long` draws other storms
in every run.
"""

import os
from collections.abc import Iterator, Sequence
from itertools import takewhile

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from temporalio.client import Client

from customers.postgres import Customers
from database.connections import Database
from disputes.dispute import DisputeState
from ledger.postgres.account_reads import AccountReads
from ledger.postgres.audit import audit
from ledger.transfers import State
from reviews.review import Ruling
from staff.permissions import Action, Role
from staff.postgres.actions import ActionSearch, StaffActions
from tests.orders import FINGERPRINTS, Holder, completed, funded, holder, order, promoted
from tests.properties.storm_acts import (
    DISPUTING,
    FREEZES,
    INTERVENING,
    REVERSING,
    RULING,
    TAKEN,
    Act,
    Aftermath,
    Cast,
    Fault,
    Tally,
    acts,
    faults,
)
from tests.properties.storms import Storm
from tests.workflows.sagas import UnreliableBook, line_breaks, sagas

LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
STORMS = 300 if LONG else 6
LIMIT_SECONDS = 3_600 if LONG else 110

FUNDS, SMALL, REVIEWED = 10_000, 2_500, 6_000
CAREFUL = {"recovery_grace_seconds": 0, "review_from_major": 50, "stuck_after_seconds": 1}
FOUR_EYES = {"four_eyes_from_major": 50}
HASTY_REVIEW = {"review_deadline_seconds": 1}

# What people decide, and what has a workflow ask the ledger for it again.
REVIEWING = ("approve", "approve", "approve", "reject", "reset", "start", "sweep")
# It is taken only in the moment in which a step has no answer yet; tests/workflows/test_stuck.py makes that moment.
RARE = {"retry_now"}
REVIEWED_AND_COMPLETED = "completed after its review"

# Those about reversals and disputes come often: most of the others wait for what they make.
AFTERWARDS = (
    *REVERSING * 3,
    *DISPUTING * (2 if LONG else 1),
    "dispute",
    "dispute",
    "rule_to_reverse",
    "rule_to_reverse",
    *INTERVENING,
)


@pytest.fixture
def book(database: Database) -> UnreliableBook:
    return UnreliableBook(database)


class Wanted(Tally):
    """What must have been taken, in one storm or another: one of each group, and each act in a long run."""

    groups: Sequence[Sequence[str]] = ()

    def check(self) -> None:
        for group in self.groups:
            taken = self.taken(group)
            assert taken, (group, self.counted)
            assert taken >= set(group) - RARE or not LONG, (set(group) - taken, self.counted)


@pytest.fixture
def tally() -> Iterator[Wanted]:
    """Counts over all examples of a test, and checks when the last one is over."""
    counting = Wanted()
    yield counting
    counting.check()


async def cast_of(database: Database, customers: Customers, book: UnreliableBook) -> Cast:
    operator, admin = (await holder(customers)).id, (await holder(customers)).id
    for staff, role in ((operator, Role.OPERATOR), (admin, Role.ADMIN)):
        await promoted(database, staff, role)
    return Cast(await funded(customers, book, FUNDS), await holder(customers), (operator, admin))


def break_lines(book: UnreliableBook, broken: list[Fault]) -> None:
    for fault in broken:
        (book.after if fault.after else book.before)[fault.step] += [line_breaks] * fault.times


async def held(database: Database, *owners: Holder) -> list[int]:
    """The balances of these accounts, each of which is what its statement adds up to."""
    account_reads = AccountReads(database)
    found = []
    for owner in owners:
        (account,) = await account_reads.all_of(owner.id)
        lines = (await account_reads.entries(account.id, account.version + 1, account.version + 1)).items
        assert sum(line.amount_minor for line in lines) == account.balance_minor
        found.append(account.balance_minor)
    return found


async def check_books(database: Database, cast: Cast, found: Aftermath) -> None:
    audited = await audit(database, FINGERPRINTS)
    assert audited.clean, audited.broken
    amount = found.transfer.amount_minor if found.transfer.state is State.COMPLETED else 0
    assert 0 <= found.brought_back_minor <= amount
    kept = amount - found.brought_back_minor
    assert await held(database, cast.payer, cast.payee) == [FUNDS - kept, kept]


async def check_disputes(database: Database, found: Aftermath) -> None:
    """Each was decided once, by one person and on the record, and did what was decided, or says that it could not."""
    reversals = {reversal.id: reversal for reversal in found.reversals}
    for dispute in found.disputes:
        done_about_it = (await StaffActions(database).find(ActionSearch(subject=dispute.id), 50)).items
        decided = [action for action in done_about_it if action.action is Action.DECIDE_DISPUTE]
        assert [action.actor_id for action in decided] == ([dispute.decided_by] if dispute.decided_by else [])
        assert dispute.outcome
        assert (dispute.state is DisputeState.EXPIRED) == (dispute.ruling is None)
        if dispute.reversal_transfer_id:
            done = reversals[dispute.reversal_transfer_id]
            assert (done.amount_minor, done.owner_id) == (dispute.amount_minor, dispute.decided_by)
        if dispute.state is DisputeState.REVERSED:
            assert dispute.reversal_transfer_id is not None
            assert reversals[dispute.reversal_transfer_id].state is State.COMPLETED
    linked = [dispute.reversal_transfer_id for dispute in found.disputes if dispute.reversal_transfer_id]
    assert len(linked) == len(set(linked))


async def check_review(database: Database, cast: Cast, found: Aftermath, tally: Tally, approvals: int) -> None:
    """What needs a review and completed was approved by enough of the staff, before anybody rejected it."""
    transfer = found.transfer
    if transfer.amount_minor < REVIEWED:
        return
    if transfer.failure:
        event(f"ended by {transfer.failure.code}")
    async with database.connection() as connection:
        words = await connection.fetch(
            "SELECT decider, ruling FROM review_decisions WHERE transfer_id = $1 AND attempt = $2 ORDER BY decided_at",
            transfer.id,
            transfer.attempt,
        )
    approved = {word["decider"] for word in takewhile(lambda word: word["ruling"] == Ruling.APPROVE, words)}
    assert approved <= set(cast.staff)
    if transfer.state is State.COMPLETED:
        tally.count(REVIEWED_AND_COMPLETED, TAKEN)
        assert len(approved) >= approvals, words


@pytest.mark.timeout(LIMIT_SECONDS)
@settings(max_examples=STORMS)
@given(
    amount=st.sampled_from([SMALL, REVIEWED, REVIEWED, FUNDS + 1]),
    reviewed=st.sampled_from([{}, FOUR_EYES, FOUR_EYES, HASTY_REVIEW]),
    acknowledged=st.booleans(),
    broken=st.lists(faults, max_size=4),
    storm=st.lists(acts(*INTERVENING, *FREEZES, *REVERSING, "dispute", "rule_to_reverse"), min_size=1, max_size=8),
)
async def test_no_storm_makes_or_loses_money(
    client: Client,
    database: Database,
    book: UnreliableBook,
    customers: Customers,
    tally: Wanted,
    amount: int,
    reviewed: dict[str, int],
    acknowledged: bool,
    broken: list[Fault],
    storm: list[Act],
) -> None:
    tally.groups = (INTERVENING, FREEZES, REVERSING)
    cast = await cast_of(database, customers, book)
    async with sagas(client, book, rules=None, workflows=None, **CAREFUL, **reviewed) as saga:
        break_lines(book, broken)
        wanted = order(cast.payer.id, cast.payer.account_id, cast.payee.account_id, amount)
        expires = reviewed == HASTY_REVIEW
        raging = Storm(saga, cast, wanted, tally, is_acknowledged=acknowledged, is_left_undecided=expires)
        await raging.begin()
        for act in storm:
            await raging.take(act)
        found = await raging.calm()
    await check_books(database, cast, found)
    await check_disputes(database, found)
    await check_review(database, cast, found, tally, approvals=2 if reviewed == FOUR_EYES else 1)


@pytest.mark.timeout(LIMIT_SECONDS)
@settings(max_examples=STORMS)
@given(
    reviewed=st.sampled_from([FOUR_EYES, FOUR_EYES, {}, HASTY_REVIEW]),
    broken=st.lists(faults, max_size=2),
    storm=st.lists(acts(*REVIEWING), min_size=1, max_size=4),
)
async def test_no_storm_of_decisions_lets_a_transfer_go_on_that_too_few_approved_or_anybody_rejected(
    client: Client,
    database: Database,
    book: UnreliableBook,
    customers: Customers,
    tally: Wanted,
    reviewed: dict[str, int],
    broken: list[Fault],
    storm: list[Act],
) -> None:
    tally.groups = (("approve", "reject"), (REVIEWED_AND_COMPLETED,))
    cast = await cast_of(database, customers, book)
    async with sagas(client, book, rules=None, workflows=None, **CAREFUL, **reviewed) as saga:
        break_lines(book, broken)
        wanted = order(cast.payer.id, cast.payer.account_id, cast.payee.account_id, REVIEWED)
        expires = reviewed == HASTY_REVIEW
        raging = Storm(saga, cast, wanted, tally, is_acknowledged=True, is_left_undecided=expires)
        await raging.begin()
        for act in storm:
            await raging.take(act)
        found = await raging.calm()
    await check_books(database, cast, found)
    await check_review(database, cast, found, tally, approvals=2 if reviewed == FOUR_EYES else 1)


@pytest.mark.timeout(LIMIT_SECONDS)
@settings(max_examples=STORMS)
@given(
    amount=st.sampled_from([SMALL, REVIEWED]),
    disputed=st.sampled_from([True, True, False]),
    broken=st.lists(faults, max_size=4),
    storm=st.lists(acts(*AFTERWARDS, *FREEZES), min_size=2, max_size=10),
)
async def test_no_storm_around_a_completed_transfer_brings_back_more_than_it_was_or_leaves_a_dispute_open(
    client: Client,
    database: Database,
    book: UnreliableBook,
    customers: Customers,
    tally: Wanted,
    amount: int,
    disputed: bool,
    broken: list[Fault],
    storm: list[Act],
) -> None:
    tally.groups = (FREEZES, REVERSING, RULING, DISPUTING)  # the first dispute is opened by the test
    cast = await cast_of(database, customers, book)
    async with sagas(client, book, rules=None, workflows=None, **CAREFUL) as saga:
        wanted = order(cast.payer.id, cast.payer.account_id, cast.payee.account_id, amount)
        await completed(book, wanted)
        break_lines(book, broken)
        raging = Storm(saga, cast, wanted, tally, is_acknowledged=True)
        if disputed:
            await raging.take(Act("dispute", 0))
        for act in storm:
            await raging.take(act)
        found = await raging.calm()
    assert found.transfer.state is State.COMPLETED
    await check_books(database, cast, found)
    await check_disputes(database, found)
