"""The IDs of Remit's workflows in Temporal, built and parsed nowhere else. Pure.

Temporal runs one workflow under an ID at a time, so equal IDs start one workflow, whoever starts it and however often.
A test keeps other modules from building such an ID by hand.
"""

import hashlib
import re
from datetime import date

from ledger.ids import (
    AccountId,
    BatchId,
    CustomerId,
    DisputeId,
    EndpointId,
    RebuildId,
    StandingOrderId,
    TierRequestId,
    TransferId,
)
from ledger.transfers import MAX_ATTEMPTS

# Temporal keeps at most 255 characters of an ID in PostgreSQL.
MAX_WORKFLOW_ID = 255

_DIGEST_DIGITS = 32
_RECOVERY_ID = re.compile(r"recover/(?P<transfer>[^/]+)/\d+")


def transfer_workflow_id(owner_id: CustomerId, key: str, attempt: int = 1) -> str:
    """`transfer/{customer}/{key}`, and ` #2` or ` #3` behind it for a later attempt: at most 255 characters.

    Each (customer, key, attempt) has an ID of its own. Keys are escaped (`%25` for `%`, `%23` for `#`), so no key names
    another key's later attempt. An ID that would be too long ends in a digest of its key, behind a `%~` that no escaped
    key contains.
    """
    start, escaped = f"transfer/{owner_id}/", key.replace("%", "%25").replace("#", "%23")
    room = MAX_WORKFLOW_ID - len(start) - len(f" #{MAX_ATTEMPTS}")
    if len(escaped) > room:
        digest = f"%~{hashlib.sha256(key.encode()).hexdigest()[:_DIGEST_DIGITS]}"
        escaped = escaped[: room - len(digest)] + digest
    return f"{start}{escaped}" if attempt == 1 else f"{start}{escaped} #{attempt}"


def recovery_workflow_id(transfer_id: TransferId, attempt: int) -> str:
    """`recover/{transfer}/{attempt}`: the one workflow with which recovery resumes this attempt."""
    return f"recover/{transfer_id}/{attempt}"


def transfer_resumed_by(workflow_id: str) -> TransferId | None:
    """The transfer that this workflow of recovery resumes; None: it is not a workflow of recovery."""
    found = _RECOVERY_ID.fullmatch(workflow_id)
    return TransferId(found["transfer"]) if found else None


def dispute_workflow_id(dispute_id: DisputeId) -> str:
    """`dispute/{dispute}`. It is also the idempotency key of the reversal that the dispute's decision orders."""
    return f"dispute/{dispute_id}"


def dispute_named_in(key: str) -> DisputeId | None:
    """The dispute that a reversal's key names; None: none. A customer may choose such a key, so check the row."""
    room, _, name = key.partition("/")
    return DisputeId(name) if room == "dispute" else None


def onboarding_workflow_id(customer_id: CustomerId) -> str:
    """`onboarding/{customer}`: one for each customer, and so for each address, however often they send a document."""
    return f"onboarding/{customer_id}"


def tier_request_workflow_id(request_id: TierRequestId) -> str:
    """`tier-request/{request}`."""
    return f"tier-request/{request_id}"


def rebuild_workflow_id(rebuild_id: RebuildId) -> str:
    """`rebuild/{rebuild}`."""
    return f"rebuild/{rebuild_id}"


def statement_workflow_id(account_id: AccountId, number: int) -> str:
    """`statement/{account}/{number}`."""
    return f"statement/{account_id}/{number}"


def webhook_workflow_id(endpoint_id: EndpointId) -> str:
    """`webhook/{endpoint}`."""
    return f"webhook/{endpoint_id}"


def batch_workflow_id(batch_id: BatchId) -> str:
    """`batch/{batch}`. Transfers that a batch has posted name it as theirs."""
    return f"batch/{batch_id}"


def standing_order_key(order_id: StandingOrderId, day: date) -> str:
    """`standing/{order}/{date}`: the idempotency key of the one transfer that this date of the order can have.

    A customer may choose such a key, so check the row.
    """
    return f"standing/{order_id}/{day.isoformat()}"
