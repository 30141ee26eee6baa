"""What operators can filter transfers by in Temporal's Web UI and CLI. No personal data: these are plain text there."""

from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes

from ledger.transfers import State, TransferOrder

TRANSFER_STATE = SearchAttributeKey.for_keyword("TransferState")
SOURCE_ACCOUNT = SearchAttributeKey.for_keyword("SourceAccount")
DESTINATION_ACCOUNT = SearchAttributeKey.for_keyword("DestinationAccount")
AMOUNT_MINOR = SearchAttributeKey.for_int("AmountMinor")
NEEDS_ATTENTION = SearchAttributeKey.for_bool("NeedsAttention")
CURRENCY = SearchAttributeKey.for_keyword("Currency")

# Registered with the namespace before the first transfer starts.
SEARCH_ATTRIBUTES = (TRANSFER_STATE, SOURCE_ACCOUNT, DESTINATION_ACCOUNT, AMOUNT_MINOR, CURRENCY, NEEDS_ATTENTION)

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


def summary(order: TransferOrder) -> str:
    """The one line that says what a transfer is: `₹1,255.00 acc_… → acc_…`. A reversal says of what."""
    reversing = f"Reversal of {order.reverses_transfer_id}: " if order.reverses_transfer_id else ""
    return f"{reversing}{order.amount} {order.source_account_id} → {order.destination_account_id}"
