"""What operators can filter by in Temporal's Web UI and CLI. No personal data: these are plain text there."""

from typing import Any

from temporalio.common import (
    SearchAttributeKey,
    SearchAttributePair,
    SearchAttributeUpdate,
    TypedSearchAttributes,
)

from disputes.dispute import DisputeState
from ledger.transfers import State, TransferOrder

TRANSFER_STATE = SearchAttributeKey.for_keyword("TransferState")
SOURCE_ACCOUNT = SearchAttributeKey.for_keyword("SourceAccount")
DESTINATION_ACCOUNT = SearchAttributeKey.for_keyword("DestinationAccount")
AMOUNT_MINOR = SearchAttributeKey.for_int("AmountMinor")
NEEDS_ATTENTION = SearchAttributeKey.for_bool("NeedsAttention")
CURRENCY = SearchAttributeKey.for_keyword("Currency")
DISPUTE_STATE = SearchAttributeKey.for_keyword("DisputeState")

# Registered with the namespace before the first transfer starts.
SEARCH_ATTRIBUTES = (
    TRANSFER_STATE,
    SOURCE_ACCOUNT,
    DESTINATION_ACCOUNT,
    AMOUNT_MINOR,
    CURRENCY,
    NEEDS_ATTENTION,
    DISPUTE_STATE,
)

# The same by the names of types that Temporal's command line takes.
SEARCH_ATTRIBUTE_TYPES = {key.name: key.indexed_value_type.name.title() for key in SEARCH_ATTRIBUTES}


def search_attributes(order: TransferOrder) -> TypedSearchAttributes:
    """What a transfer's workflow starts with. Only its state changes later."""
    return TypedSearchAttributes(
        [
            SearchAttributePair(TRANSFER_STATE, State.INITIATED),
            SearchAttributePair(SOURCE_ACCOUNT, order.source_account_id),
            SearchAttributePair(DESTINATION_ACCOUNT, order.destination_account_id),
            SearchAttributePair(AMOUNT_MINOR, order.amount_minor),
            SearchAttributePair(CURRENCY, order.currency),
        ]
    )


def dispute_attributes(
    state: DisputeState, disputed: TransferOrder | None, known: DisputeState | None
) -> list[SearchAttributeUpdate[Any]]:
    """What changes of a dispute's attributes. At first all of it: those of the transfer that it is about, too."""
    changes: list[SearchAttributeUpdate[Any]] = [] if state is known else [DISPUTE_STATE.value_set(state)]
    if known is None and disputed is not None:
        changes += [
            SOURCE_ACCOUNT.value_set(disputed.source_account_id),
            DESTINATION_ACCOUNT.value_set(disputed.destination_account_id),
            AMOUNT_MINOR.value_set(disputed.amount_minor),
            CURRENCY.value_set(disputed.currency),
        ]
    return changes


def summary(order: TransferOrder) -> str:
    """The one line that says what a transfer is: `₹1,255.00 acc_… → acc_…, trf_…`. A reversal says of what."""
    reversing = f"Reversal of {order.reverses_transfer_id}: " if order.reverses_transfer_id else ""
    parties = f"{order.source_account_id} → {order.destination_account_id}"
    return f"{reversing}{order.amount} {parties}, {order.transfer_id}"
