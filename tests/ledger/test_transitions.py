"""The states of a transfer and what may follow each, here and in PostgreSQL."""

from datetime import UTC, datetime

import asyncpg
import pytest

from customers.postgres import Customers
from ledger.ids import (
    CLEARING,
    WORLD,
    posting_id,
)
from ledger.transfers import (
    FINAL,
    MAX_ATTEMPTS,
    NEXT_STATE,
    Leg,
    State,
    TransferOrder,
)
from tests.connections import Connection
from tests.orders import Holder, holder, order

NOW = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
async def alice(customers: Customers) -> Holder:
    return await holder(customers)


@pytest.fixture
async def bob(customers: Customers) -> Holder:
    return await holder(customers)


def test_every_state_says_what_may_follow() -> None:
    assert NEXT_STATE.keys() == set(State)
    assert frozenset().union(*NEXT_STATE.values()) == set(State)


def test_a_final_state_leads_nowhere_but_to_another_attempt() -> None:
    for state in State:
        assert state.is_final == (NEXT_STATE[state] <= {State.INITIATED}), state
    assert {state for state in FINAL if NEXT_STATE[state]} == {State.FAILED, State.COMPENSATED}


def test_every_state_is_reached_from_initiated_and_reaches_an_end() -> None:
    def reached(start: State) -> set[State]:
        seen, due = {start}, [start]
        while due:
            new = NEXT_STATE[due.pop()] - seen
            seen |= new
            due += new
        return seen

    assert reached(State.INITIATED) == set(State)
    assert all(reached(state) & FINAL for state in State)


def test_money_in_transit_either_arrives_or_returns() -> None:
    assert NEXT_STATE[State.DEBITED] == {State.COMPLETED, State.COMPENSATED}
    assert {state for state, after in NEXT_STATE.items() if State.COMPLETED in after} == {State.DEBITED}


async def test_postgres_allows_the_same_transitions(owner: Connection, alice: Holder, bob: Holder) -> None:
    """Every pair of states, tried with the same attempt, the next one and the one after it."""
    allowed = {
        (before, after, more)
        for before in State
        for after in State
        for more in (0, 1, 2)
        if await _allowed(owner, alice, bob, (before, 1), (after, 1 + more))
    }
    anew = {(before, State.INITIATED, 1) for before in State if State.INITIATED in NEXT_STATE[before]}
    onward = {(before, after, 0) for before in State for after in NEXT_STATE[before] - {State.INITIATED}}
    assert anew <= allowed
    assert {pair for pair in allowed if pair[2] == 0 or pair[1] is State.INITIATED} == anew | onward


async def test_postgres_allows_another_attempt_only_where_a_transfer_starts_again(
    owner: Connection, alice: Holder, bob: Holder
) -> None:
    for before in State:
        for after in NEXT_STATE[before] - {State.INITIATED}:
            assert not await _allowed(owner, alice, bob, (before, 1), (after, 2)), (before, after)


async def test_postgres_allows_no_attempt_after_the_last(owner: Connection, alice: Holder, bob: Holder) -> None:
    last = MAX_ATTEMPTS
    assert await _allowed(owner, alice, bob, (State.FAILED, last - 1), (State.INITIATED, last))
    assert not await _allowed(owner, alice, bob, (State.FAILED, last), (State.INITIATED, last + 1))


async def _allowed(
    owner: Connection, alice: Holder, bob: Holder, before: tuple[State, int], after: tuple[State, int]
) -> bool:
    """Whether PostgreSQL lets a transfer go from one (state, attempt) to another. Leaves nothing behind."""
    wanted = order(alice.id, alice.account_id, bob.account_id, 100)
    trial = owner.transaction()
    await trial.start()
    try:
        await _insert(owner, wanted, *before)
        await owner.execute(
            "UPDATE transfers SET state = $2, attempt = $3, completed_at = $4 WHERE id = $1",
            wanted.transfer_id,
            after[0],
            after[1],
            NOW if after[0].is_final else None,
        )
    except asyncpg.CheckViolationError:
        return False
    finally:
        await trial.rollback()
    return True


async def _insert(owner: Connection, wanted: TransferOrder, state: State, attempt: int) -> None:
    """Put a transfer there, also where none may begin. Needs a transaction."""
    await owner.execute("SET LOCAL session_replication_role = replica")
    await owner.execute(
        """
        INSERT INTO transfers (id, owner_id, idempotency_key, fingerprint, kind, source_account_id,
            destination_account_id, amount_minor, currency, workflow_id, state, attempt, completed_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
        """,
        wanted.transfer_id,
        wanted.owner_id,
        wanted.idempotency_key,
        wanted.fingerprint,
        wanted.kind,
        wanted.source_account_id,
        wanted.destination_account_id,
        wanted.amount_minor,
        wanted.currency,
        wanted.workflow_id,
        state,
        attempt,
        NOW if state.is_final else None,
    )
    await owner.execute("SET LOCAL session_replication_role = origin")


async def test_postgres_derives_the_same_posting_ids(owner: Connection, alice: Holder, bob: Holder) -> None:
    wanted = order(alice.id, alice.account_id, bob.account_id, 100)
    trial = owner.transaction()
    await trial.start()
    await _insert(owner, wanted, State.INITIATED, 1)
    for attempt in range(1, MAX_ATTEMPTS + 1):
        for leg in Leg:
            debit, credit = (WORLD, CLEARING) if leg is Leg.DEBIT else (CLEARING, WORLD)
            derived = await owner.fetchval(
                """
                INSERT INTO postings (transfer_id, attempt, leg, debit_account_id, credit_account_id, amount_minor,
                    currency, recorded_at)
                VALUES ($1, $2, $3, $4, $5, 100, 'USD', $6) RETURNING id
                """,
                *(wanted.transfer_id, attempt, leg, debit, credit, NOW),
            )
            assert derived == posting_id(wanted.transfer_id, attempt, leg)
    await trial.rollback()
