"""The rules alone: what each refuses, and which refusal comes first. States are in `test_transitions.py`."""

import re
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import rules
from ledger.account_numbers import AccountNumber
from ledger.accounts import Account, AccountStatus, Freeze
from ledger.chain import genesis_hash
from ledger.ids import (
    CLEARING,
    WORLD,
    AccountId,
    TransferId,
    new_account_id,
    new_customer_id,
)
from ledger.limits.tier_limits import DEFAULT_LIMITS, LimitName
from ledger.money import MAX_AMOUNT_MINOR, Money
from ledger.refusals import (
    REFUSAL_CODES,
    REFUSALS,
    Abandoned,
    AccountClosed,
    AccountFrozen,
    AccountNotFound,
    BalanceLimitExceeded,
    CurrencyMismatch,
    FraudDeclined,
    IdentityNotVerified,
    IllegalTransition,
    InsufficientFunds,
    LimitExceeded,
    Refusal,
    ReversalTooLarge,
    ReviewExpired,
    ReviewRejected,
    SameAccount,
)
from ledger.transfers import (
    Kind,
    Side,
    State,
    Transfer,
)
from tests.orders import order, reversal

NOW = datetime(2026, 11, 1, tzinfo=UTC)
OWNER = new_customer_id()
NUMBER = AccountNumber("RM04404040404040")
MINE, THEIRS = new_account_id(), new_account_id()


def account(
    account_id: AccountId = MINE,
    balance_minor: int = 0,
    currency: str = "USD",
    status: AccountStatus = AccountStatus.ACTIVE,
    frozen: Freeze | None = None,
    tier: int = 3,
    *,
    verified: bool = True,
) -> Account:
    genesis = genesis_hash(account_id)
    fixed = (status, tier, balance_minor, 0, genesis, NOW, 0, NUMBER)
    return Account(account_id, OWNER, currency, *fixed, frozen=frozen, owner_verified=verified)


def transfer(
    state: State, amount_minor: int = 100, source: AccountId = MINE, destination: AccountId = THEIRS
) -> Transfer:
    return Transfer(order(OWNER, source, destination, amount_minor), state, None, NOW, NOW, None)


ONE_OF_EACH: dict[type[Refusal], Refusal] = {
    type(refusal): refusal
    for refusal in (
        AccountNotFound(MINE, "source"),
        SameAccount(MINE),
        CurrencyMismatch(MINE, "source", "USD"),
        AccountClosed(MINE, "source"),
        AccountFrozen(MINE, "source"),
        IdentityNotVerified(MINE),
        LimitExceeded("source", LimitName.DAILY_TOTAL, Money(2, "USD"), Money(1, "USD"), NOW),
        ReversalTooLarge(TransferId("trf_one"), Money(1, "USD")),
        InsufficientFunds(MINE, Money(1, "USD")),
        BalanceLimitExceeded(MINE, Money(1, "USD")),
        FraudDeclined(),
        ReviewRejected(),
        ReviewExpired(),
        Abandoned(),
    )
}


def test_no_money_leaves_an_account_whose_owner_is_not_verified_and_money_comes_in() -> None:
    unverified = account(balance_minor=500, verified=False)
    with pytest.raises(IdentityNotVerified) as refused:
        rules.decide_debit(transfer(State.INITIATED), 1, unverified, DEFAULT_LIMITS, NOW)
    assert refused.value.failure.code == "identity_not_verified"
    assert rules.decide_credit(transfer(State.DEBITED, 100, THEIRS, MINE), 1, unverified, DEFAULT_LIMITS, NOW)
    assert rules.decide_refund(transfer(State.DEBITED), 1, unverified, None, NOW)


def test_a_reversal_takes_money_back_from_an_account_whose_owner_is_not_verified() -> None:
    unverified = account(balance_minor=500, verified=False)
    back = Transfer(reversal(order(OWNER, THEIRS, MINE, 100), OWNER, 100), State.INITIATED, None, NOW, NOW, None)
    assert rules.objection_to(back.order, unverified, account(THEIRS), DEFAULT_LIMITS, NOW) is None
    assert rules.decide_debit(back, 1, unverified, DEFAULT_LIMITS, NOW)


def test_refusals_are_decided_in_the_promised_order() -> None:
    assert REFUSAL_CODES == (
        "account_not_found",
        "same_account",
        "currency_mismatch",
        "account_closed",
        "account_frozen",
        "identity_not_verified",
        "limit_exceeded",
        "insufficient_funds",
        "balance_limit_exceeded",
        "fraud_declined",
        "review_rejected",
        "review_expired",
        "abandoned",
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
    assert failure.side == side


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
            *draw(
                st.sampled_from(
                    [
                        (AccountStatus.ACTIVE, None),
                        (AccountStatus.CLOSED, None),
                        *((AccountStatus.FROZEN, frozen) for frozen in Freeze),
                    ]
                )
            ),
            verified=draw(st.booleans()),
        )
    return draw(st.sampled_from([None, account(account_id, 100)]))


def against(side: Account | None, stopped_by: Freeze) -> set[str]:
    if side is None:
        return {"account_not_found"}
    mismatch = {"currency_mismatch"} if side.currency != "USD" else set()
    closed = {"account_closed"} if side.status is AccountStatus.CLOSED else set()
    return mismatch | closed | ({"account_frozen"} if side.frozen in (stopped_by, Freeze.BOTH) else set())


def against_source(source: Account | None) -> set[str]:
    short = {"insufficient_funds"} if source and source.balance_minor < 100 else set()
    unverified = {"identity_not_verified"} if source and not source.owner_verified else set()
    return against(source, Freeze.DEBITS) | unverified | short


def against_destination(destination: Account | None) -> set[str]:
    full = destination and destination.balance_minor + 100 > 2**53 - 1
    return against(destination, Freeze.CREDITS) | ({"balance_limit_exceeded"} if full else set())


def first_of(codes: set[str]) -> str | None:
    return next((code for code in REFUSAL_CODES if code in codes), None)


@given(sides(MINE), sides(THEIRS), st.booleans())
def test_the_foreseen_refusal_is_the_first_of_all_that_apply(
    source: Account | None, destination: Account | None, same: bool
) -> None:
    wanted = order(OWNER, MINE, MINE if same else THEIRS, 100)
    objection = rules.objection_to(wanted, source, source if same else destination, DEFAULT_LIMITS, NOW)
    codes = against_source(source) | against_destination(source if same else destination)
    assert (objection.code if objection else None) == first_of(codes | ({"same_account"} if same else set()))


@given(sides(MINE))
def test_a_debit_is_refused_with_the_first_refusal_of_its_source(source: Account | None) -> None:
    code = first_of(against_source(source))
    opened = transfer(State.INITIATED)
    if code:
        with pytest.raises(Refusal) as refusal:
            rules.decide_debit(opened, 1, source, DEFAULT_LIMITS, NOW)
        assert refusal.value.code == code
    else:
        assert source is not None
        change = rules.decide_debit(opened, 1, source, DEFAULT_LIMITS, NOW)
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
            rules.decide_credit(debited, 1, destination, DEFAULT_LIMITS, NOW)
        assert refusal.value.code == code
    else:
        assert destination is not None
        change = rules.decide_credit(debited, 1, destination, DEFAULT_LIMITS, NOW)
        assert change is not None
        assert change.posting is not None
        assert change.posting.entry is not None
        assert change.posting.entry.balance_after == destination.balance_minor + 100


@pytest.mark.parametrize("both", [MINE, WORLD], ids=["a customer's", "world"])
def test_a_debit_from_an_account_to_itself_is_refused(both: AccountId) -> None:
    opened = transfer(State.INITIATED, source=both, destination=both)
    with pytest.raises(SameAccount):
        rules.decide_debit(opened, 1, None if both == WORLD else account(balance_minor=100), DEFAULT_LIMITS, NOW)


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
            DEFAULT_LIMITS,
            NOW,
        )
        assert isinstance(objection, AccountNotFound)


@given(st.sampled_from(State), st.sampled_from([0, 2, 3]))
def test_a_step_of_another_attempt_is_never_taken(state: State, attempt: int) -> None:
    standing, rich = transfer(state), account(balance_minor=100)
    steps: list[Callable[[], object]] = [
        lambda: rules.decide_debit(standing, attempt, rich, DEFAULT_LIMITS, NOW),
        lambda: rules.decide_credit(standing, attempt, rich, DEFAULT_LIMITS, NOW),
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
