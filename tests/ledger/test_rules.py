"""The rules alone, and that PostgreSQL says the same where it says it again."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from customers.postgres import Customers
from ledger import rules
from ledger.accounts import Account, AccountStatus
from ledger.chain import entry_hash, genesis_hash
from ledger.ids import (
    ACCOUNT_ID,
    CLEARING,
    CUSTOMER_ID,
    TRANSFER_ID,
    WORLD,
    AccountId,
    CustomerId,
    new_account_id,
    new_customer_id,
    posting_id,
    transfer_id_for,
)
from ledger.money import MAX_AMOUNT_MINOR, MINOR_UNIT_DIGITS, Money, is_currency, major_to_minor
from ledger.postgres.audit import INVARIANTS_SQL
from ledger.postgres.book import Book
from ledger.refusals import (
    REFUSAL_CODES,
    REFUSALS,
    AccountClosed,
    AccountFrozen,
    AccountNotFound,
    BalanceLimitExceeded,
    CurrencyMismatch,
    FraudDeclined,
    IllegalTransition,
    InsufficientFunds,
    LimitExceeded,
    Refusal,
    ReviewExpired,
    ReviewRejected,
    SameAccount,
    is_about_destination,
)
from ledger.transfers import (
    FINAL,
    MAX_ATTEMPTS,
    NEXT_STATE,
    Ending,
    Kind,
    Leg,
    Side,
    State,
    Step,
    Transfer,
    TransferOrder,
)
from screening.rules import AmountThreshold, ScreeningAnswer, Verdict, screen
from tests.ledger.conftest import Connection
from tests.orders import Holder, funded, holder, order

NOW = datetime(2026, 11, 1, tzinfo=UTC)
OWNER = new_customer_id()
MINE, THEIRS = new_account_id(), new_account_id()


def account(
    account_id: AccountId = MINE,
    balance_minor: int = 0,
    currency: str = "USD",
    status: AccountStatus = AccountStatus.ACTIVE,
) -> Account:
    return Account(account_id, OWNER, currency, status, 1, balance_minor, 0, genesis_hash(account_id), NOW)


def transfer(
    state: State, amount_minor: int = 100, source: AccountId = MINE, destination: AccountId = THEIRS
) -> Transfer:
    wanted = order(OWNER, source, destination, amount_minor)
    return Transfer(
        id=wanted.transfer_id,
        owner_id=OWNER,
        idempotency_key=wanted.idempotency_key,
        fingerprint=wanted.fingerprint,
        kind=wanted.kind,
        source_account_id=source,
        destination_account_id=destination,
        amount_minor=amount_minor,
        currency="USD",
        note=None,
        transaction_id=None,
        workflow_id=wanted.workflow_id,
        state=state,
        attempt=1,
        failure=None,
        created_at=NOW,
        updated_at=NOW,
        completed_at=None,
    )


@pytest.fixture
async def alice(customers: Customers) -> Holder:
    return await holder(customers)


@pytest.fixture
async def bob(customers: Customers) -> Holder:
    return await holder(customers)


# States


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


# Refusals

ONE_OF_EACH: dict[type[Refusal], Refusal] = {
    type(refusal): refusal
    for refusal in (
        AccountNotFound(MINE, "source"),
        SameAccount(MINE),
        CurrencyMismatch(MINE, "source", "USD"),
        AccountClosed(MINE, "source"),
        AccountFrozen(MINE, "source"),
        LimitExceeded(MINE, Money(1, "USD")),
        InsufficientFunds(MINE, Money(1, "USD")),
        BalanceLimitExceeded(MINE, Money(1, "USD")),
        FraudDeclined(),
        ReviewRejected(),
        ReviewExpired(),
    )
}


def test_refusals_are_decided_in_the_promised_order() -> None:
    assert REFUSAL_CODES == (
        "account_not_found",
        "same_account",
        "currency_mismatch",
        "account_closed",
        "account_frozen",
        "limit_exceeded",
        "insufficient_funds",
        "balance_limit_exceeded",
        "fraud_declined",
        "review_rejected",
        "review_expired",
    )
    assert set(REFUSALS) == set(Refusal.__subclasses__())


@pytest.mark.parametrize("side", ["source", "destination"])
@pytest.mark.parametrize("refusal", [AccountNotFound, AccountClosed, AccountFrozen, CurrencyMismatch, None])
def test_a_refusal_names_the_side_it_is_about_and_not_the_account(
    refusal: Callable[..., Refusal] | None, side: Side
) -> None:
    if refusal is None:
        failure = (InsufficientFunds if side == "source" else BalanceLimitExceeded)(MINE, Money(1, "USD")).failure
    else:
        failure = refusal(MINE, side, *(["USD"] if refusal is CurrencyMismatch else [])).failure
    assert failure.message.startswith(f"The {side} account ")
    assert MINE not in failure.message
    assert is_about_destination(failure) == (side == "destination")


@given(st.permutations(REFUSALS), st.integers(1, len(REFUSALS)))
def test_of_several_refusals_the_first_in_order_is_the_answer(found: list[type[Refusal]], how_many: int) -> None:
    some = found[:how_many]
    first = rules.first_refusal(iter([ONE_OF_EACH[one] for one in some]))
    assert type(first) is next(one for one in REFUSALS if one in some)


def test_without_an_objection_nothing_is_refused() -> None:
    assert rules.first_refusal(iter(())) is None


@pytest.mark.parametrize("refusal", ONE_OF_EACH.values(), ids=lambda refusal: refusal.code)
def test_a_refusal_tells_the_customer_a_sentence(refusal: Refusal) -> None:
    assert re.fullmatch(r"[A-Z].+\.", refusal.failure.message)
    assert refusal.failure.code == refusal.code


@st.composite
def sides(draw: st.DrawFn, account_id: AccountId) -> Account | None:
    if draw(st.booleans()):
        return account(
            account_id,
            draw(st.sampled_from([0, 99, 100, MAX_AMOUNT_MINOR - 100, MAX_AMOUNT_MINOR - 99])),
            draw(st.sampled_from(["USD", "EUR"])),
            draw(st.sampled_from(AccountStatus)),
        )
    return draw(st.sampled_from([None, account(account_id, 100)]))


def against(side: Account | None) -> set[str]:
    if side is None:
        return {"account_not_found"}
    mismatch = {"currency_mismatch"} if side.currency != "USD" else set()
    return mismatch | ({f"account_{side.status}"} if side.status is not AccountStatus.ACTIVE else set())


def against_source(source: Account | None) -> set[str]:
    return against(source) | ({"insufficient_funds"} if source and source.balance_minor < 100 else set())


def against_destination(destination: Account | None) -> set[str]:
    full = destination and destination.balance_minor + 100 > 2**53 - 1
    return against(destination) | ({"balance_limit_exceeded"} if full else set())


def first_of(codes: set[str]) -> str | None:
    return next((code for code in REFUSAL_CODES if code in codes), None)


@given(sides(MINE), sides(THEIRS), st.booleans())
def test_what_is_foreseen_is_the_first_refusal_of_all_that_apply(
    source: Account | None, destination: Account | None, same: bool
) -> None:
    wanted = order(OWNER, MINE, MINE if same else THEIRS, 100)
    objection = rules.objection_to(wanted, source, source if same else destination)
    codes = against_source(source) | against_destination(source if same else destination)
    assert (objection.code if objection else None) == first_of(codes | ({"same_account"} if same else set()))


@given(sides(MINE))
def test_a_debit_is_refused_with_the_first_refusal_of_its_source(source: Account | None) -> None:
    code = first_of(against_source(source))
    opened = transfer(State.INITIATED)
    if code:
        with pytest.raises(Refusal) as refusal:
            rules.decide_debit(opened, 1, source, NOW)
        assert refusal.value.code == code
    else:
        assert source is not None
        change = rules.decide_debit(opened, 1, source, NOW)
        assert change is not None
        assert change.posting is not None
        assert change.posting.entry is not None
        assert change.posting.entry.balance_after == source.balance_minor - 100


@given(sides(THEIRS))
def test_a_credit_is_refused_with_the_first_refusal_of_its_destination(destination: Account | None) -> None:
    code = first_of(against_destination(destination))
    debited = transfer(State.DEBITED)
    if code:
        with pytest.raises(Refusal) as refusal:
            rules.decide_credit(debited, 1, destination, NOW)
        assert refusal.value.code == code
    else:
        assert destination is not None
        change = rules.decide_credit(debited, 1, destination, NOW)
        assert change is not None
        assert change.posting is not None
        assert change.posting.entry is not None
        assert change.posting.entry.balance_after == destination.balance_minor + 100


@pytest.mark.parametrize("both", [MINE, WORLD], ids=["a customer's", "world"])
def test_a_debit_from_an_account_to_itself_is_refused(both: AccountId) -> None:
    opened = transfer(State.INITIATED, source=both, destination=both)
    with pytest.raises(SameAccount):
        rules.decide_debit(opened, 1, None if both == WORLD else account(balance_minor=100), NOW)


@pytest.mark.parametrize("status", AccountStatus)
def test_a_refund_is_never_refused(status: AccountStatus) -> None:
    full = account(balance_minor=MAX_AMOUNT_MINOR, status=status)
    change = rules.decide_refund(transfer(State.DEBITED), 1, full, None, NOW)
    assert change is not None
    assert change.state is State.COMPENSATED


def test_system_accounts_cannot_be_named_as_clearing() -> None:
    for source, destination in ((CLEARING, MINE), (MINE, CLEARING)):
        objection = rules.objection_to(
            order(OWNER, source, destination, 1),
            account(balance_minor=1) if source == MINE else None,
            account() if destination == MINE else None,
        )
        assert isinstance(objection, AccountNotFound)


@given(st.sampled_from(State), st.sampled_from([0, 2, 3]))
def test_a_step_of_another_attempt_is_never_taken(state: State, attempt: int) -> None:
    standing, rich = transfer(state), account(balance_minor=100)
    steps: list[Callable[[], object]] = [
        lambda: rules.decide_debit(standing, attempt, rich, NOW),
        lambda: rules.decide_credit(standing, attempt, rich, NOW),
        lambda: rules.decide_refund(standing, attempt, rich, None, NOW),
        lambda: rules.decide_end(standing, attempt, State.FAILED, None, NOW),
        lambda: rules.decide_end(standing, attempt, State.CANCELLED, None, NOW),
    ]
    for step in steps:
        with pytest.raises(IllegalTransition):
            step()


@pytest.mark.parametrize(
    ("source", "destination", "kind"),
    [(WORLD, MINE, Kind.DEPOSIT), (MINE, WORLD, Kind.WITHDRAWAL), (MINE, THEIRS, Kind.TRANSFER)],
    ids=["in", "out", "between"],
)
def test_the_two_sides_tell_what_a_movement_is(source: AccountId, destination: AccountId, kind: Kind) -> None:
    assert rules.kind_of(source, destination) is kind


# Money


@pytest.mark.parametrize(
    ("amount_minor", "currency", "text"),
    [
        (125_500, "INR", "₹1,255.00"),
        (1_250, "KES", "KES 12.50"),
        (1_200, "JPY", "¥1,200"),
        (0, "JPY", "¥0"),
        (1_234_567, "BHD", "BHD 1,234.567"),
        (5, "BHD", "BHD 0.005"),
        (-5, "USD", "-$0.05"),
        (-1_000_000_00, "EUR", "-€1,000,000.00"),
        (-1, "JPY", "-¥1"),
        (MAX_AMOUNT_MINOR, "USD", "$90,071,992,547,409.91"),
    ],
)
def test_money_reads_as_people_write_it(amount_minor: int, currency: str, text: str) -> None:
    assert str(Money(amount_minor, currency)) == text


@given(st.integers(-MAX_AMOUNT_MINOR, MAX_AMOUNT_MINOR), st.sampled_from(sorted(MINOR_UNIT_DIGITS)))
def test_no_digit_of_an_amount_is_lost_in_its_text(amount_minor: int, currency: str) -> None:
    text = str(Money(amount_minor, currency))
    assert int(re.sub(r"[^0-9]", "", text)) == abs(amount_minor)
    assert text.startswith("-") == (amount_minor < 0)
    assert len(text.partition(".")[2]) == MINOR_UNIT_DIGITS[currency]


@pytest.mark.parametrize(
    ("currency", "amount_minor"), [("USD", 1_000_000), ("JPY", 10_000), ("BHD", 10_000_000), ("KRW", 10_000)]
)
def test_major_units_become_minor_ones_by_the_currency(currency: str, amount_minor: int) -> None:
    assert major_to_minor(10_000, currency) == amount_minor
    threshold = AmountThreshold(10_000)
    below, at = (order(OWNER, MINE, THEIRS, amount, currency=currency) for amount in (amount_minor - 1, amount_minor))
    assert screen(below, [threshold]).answer is ScreeningAnswer.ALLOW
    assert screen(at, [threshold]) == Verdict(ScreeningAnswer.DECLINE, [threshold.name])


def test_metals_test_codes_and_other_words_are_no_currency() -> None:
    assert not any(map(is_currency, ("XAU", "XXX", "XTS", "usd", "", "DOLLAR")))


# Ids

KEYS = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=255)
OWNERS = st.from_regex(CUSTOMER_ID, fullmatch=True).map(CustomerId)


@given(OWNERS, KEYS)
def test_a_key_of_a_customer_always_names_the_same_transfer(owner_id: CustomerId, key: str) -> None:
    assert transfer_id_for(owner_id, key) == transfer_id_for(owner_id, key)
    assert TRANSFER_ID.fullmatch(transfer_id_for(owner_id, key))


def test_the_id_of_a_transfer_never_changes_from_one_release_to_the_next() -> None:
    owner_id = CustomerId("cus_" + "a" * 26)
    assert transfer_id_for(owner_id, "order 1") == "trf_fpkhognvyng5na2mjpi5gqo7ke"


@given(st.lists(st.tuples(OWNERS, KEYS), unique=True, min_size=2, max_size=20))
def test_other_keys_and_other_customers_name_other_transfers(names: list[tuple[CustomerId, str]]) -> None:
    assert len({transfer_id_for(*name) for name in names}) == len(names)


def test_new_ids_differ_and_carry_their_kind() -> None:
    assert len({new_account_id() for _ in range(100)} | {new_customer_id() for _ in range(100)}) == 200
    assert ACCOUNT_ID.fullmatch(new_account_id())
    assert CUSTOMER_ID.fullmatch(new_customer_id())


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


# The hash chain

BALANCES = st.integers(0, MAX_AMOUNT_MINOR)
LINES = st.lists(
    st.tuples(
        st.tuples(BALANCES, BALANCES).filter(lambda pair: pair[0] != pair[1]),
        st.integers(1, MAX_ATTEMPTS),
        st.sampled_from(Leg),
        st.datetimes(datetime(1969, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - see timezones
        KEYS,
    ),
    min_size=1,
    max_size=8,
)


@settings(
    max_examples=30,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # each example rolls back what it wrote
)
@given(LINES)
async def test_the_audit_hashes_every_entry_as_the_rules_do(
    owner: Connection, alice: Holder, lines: list[tuple[tuple[int, int], int, Leg, datetime, str]]
) -> None:
    account_id, previous = alice.account_id, genesis_hash(alice.account_id)
    trial = owner.transaction()
    await trial.start()
    await owner.execute("SET LOCAL session_replication_role = replica")
    for version, ((before, after), attempt, leg, recorded_at, key) in enumerate(lines, start=1):
        transfer_id, amount_minor = transfer_id_for(alice.id, key), after - before
        posting = posting_id(transfer_id, attempt, leg)
        previous = entry_hash(previous, account_id, version, posting, amount_minor, before, after, recorded_at)
        await owner.execute(
            "INSERT INTO entries VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            *(account_id, version, transfer_id, attempt, leg, amount_minor, before, after, recorded_at, previous),
        )
    broken = [row["subject"] for row in await owner.fetch(INVARIANTS_SQL) if row["invariant"] == "hash_chain"]
    await trial.rollback()
    assert broken == []


def test_each_field_of_an_entry_changes_its_hash() -> None:
    transfer_id = transfer_id_for(OWNER, "a")
    one = (b"0" * 32, MINE, 1, posting_id(transfer_id, 1, "debit"), -5, 10, 5, NOW)
    other = (b"1" * 32, THEIRS, 2, posting_id(transfer_id, 2, "debit"), -6, 11, 6, NOW + timedelta(microseconds=1))
    hashes = {entry_hash(*one)}
    for i in range(len(one)):
        changed: Any = (*one[:i], other[i], *one[i + 1 :])
        hashes.add(entry_hash(*changed))
    assert len(hashes) == len(one) + 1


async def test_the_book_chains_its_entries(book: Book, customers: Customers, owner: Connection) -> None:
    rich = await funded(customers, book, 500)
    for amount_minor in (200, 30, 4):
        withdrawal = order(rich.id, rich.account_id, WORLD, amount_minor)
        await book.open_transfer(withdrawal)
        await book.debit(Step(withdrawal.transfer_id, 1))
        await book.refund(Ending(Step(withdrawal.transfer_id, 1)))
    previous = genesis_hash(rich.account_id)
    entries = await owner.fetch("SELECT * FROM entries ORDER BY version")
    assert [entry["balance_after"] for entry in entries] == [500, 300, 500, 470, 500, 496, 500]
    for entry in entries:
        posting = posting_id(entry["transfer_id"], entry["attempt"], entry["leg"])
        written = (entry["amount_minor"], entry["balance_before"], entry["balance_after"], entry["recorded_at"])
        previous = entry_hash(previous, rich.account_id, entry["version"], posting, *written)
        assert entry["hash"] == previous
    assert await owner.fetchval("SELECT head_hash FROM accounts WHERE id = $1", rich.account_id) == previous
