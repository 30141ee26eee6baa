"""What each party of a transfer reads about how it ended."""

import pytest

from ledger.ids import WORLD, AccountId, new_account_id, new_customer_id
from ledger.money import Money
from ledger.refusals import (
    AccountClosed,
    AccountFrozen,
    AccountNotFound,
    BalanceLimitExceeded,
    CurrencyMismatch,
    InsufficientFunds,
    Refusal,
)
from ledger.transfers import Standing, State, TransferOrder
from notifications.messages import ending_messages
from tests.orders import order

OWNER = new_customer_id()
MINE, THEIRS = new_account_id(), new_account_id()


def messages(wanted: TransferOrder, state: State, refusal: Refusal | None = None) -> dict[AccountId, str]:
    return ending_messages(wanted, Standing(wanted.transfer_id, 1, state, refusal.failure if refusal else None))


def test_payer_and_payee_each_read_their_own_side_of_a_completed_transfer() -> None:
    wanted = order(OWNER, MINE, THEIRS, 2_500)
    assert messages(wanted, State.COMPLETED) == {
        MINE: f"Your transfer {wanted.transfer_id} of $25.00 is completed.",
        THEIRS: f"You received $25.00 by transfer {wanted.transfer_id}.",
    }


@pytest.mark.parametrize("state", [State.FAILED, State.COMPENSATED])
@pytest.mark.parametrize(
    "refusal",
    [
        AccountNotFound(THEIRS, "destination"),
        CurrencyMismatch(THEIRS, "destination", "USD"),
        AccountClosed(THEIRS, "destination"),
        AccountFrozen(THEIRS, "destination"),
        BalanceLimitExceeded(THEIRS, Money(1, "USD")),
    ],
    ids=lambda refusal: refusal.code,
)
def test_a_payer_reads_nothing_about_the_payees_account_and_the_payee_nothing_at_all(
    refusal: Refusal, state: State
) -> None:
    wanted = order(OWNER, MINE, THEIRS, 2_500)
    assert messages(wanted, state, refusal) == {
        MINE: f"Your transfer {wanted.transfer_id} of $25.00 is {state}. It could not be delivered."
    }
    assert THEIRS not in refusal.failure.message


@pytest.mark.parametrize("refusal", [AccountFrozen(MINE, "source"), InsufficientFunds(MINE, Money(1, "USD"))])
def test_a_payer_reads_what_is_wrong_with_their_own_account(refusal: Refusal) -> None:
    wanted = order(OWNER, MINE, THEIRS, 2_500)
    (message,) = messages(wanted, State.FAILED, refusal).values()
    assert message.endswith(f" is failed. {refusal}")


def test_a_depositor_and_a_withdrawer_read_about_their_own_account_and_world_gets_no_message() -> None:
    deposit, withdrawal = order(OWNER, WORLD, MINE, 900), order(OWNER, MINE, WORLD, 400)
    assert messages(deposit, State.COMPLETED) == {MINE: f"Your deposit {deposit.transfer_id} of $9.00 is completed."}
    assert messages(withdrawal, State.COMPLETED) == {
        MINE: f"Your withdrawal {withdrawal.transfer_id} of $4.00 is completed."
    }
    assert messages(deposit, State.COMPENSATED, AccountFrozen(MINE, "destination")) == {
        MINE: f"Your deposit {deposit.transfer_id} of $9.00 is compensated. The destination account is frozen."
    }
