"""Events: what happened to transfers, accounts, customers and more, as facts that never change. Pure: no I/O."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NewType

from ledger.ids import AccountId, CustomerId

EventId = NewType("EventId", str)


class EventType(StrEnum):
    """What happened. A type keeps its meaning for ever; its `version` changes with the form of its data."""

    TRANSFER_INITIATED = "transfer.initiated"
    TRANSFER_IN_REVIEW = "transfer.in_review"
    TRANSFER_DEBITED = "transfer.debited"
    TRANSFER_COMPLETED = "transfer.completed"
    TRANSFER_FAILED = "transfer.failed"
    TRANSFER_COMPENSATED = "transfer.compensated"
    TRANSFER_CANCELLED = "transfer.cancelled"
    TRANSFER_RETRIED = "transfer.retried"
    ACCOUNT_CREATED = "account.created"
    ACCOUNT_FROZEN = "account.frozen"
    ACCOUNT_UNFROZEN = "account.unfrozen"
    ACCOUNT_CLOSED = "account.closed"
    ACCOUNT_TIER_CHANGED = "account.tier_changed"
    ACCOUNT_FLAGGED = "account.flagged"
    CUSTOMER_CREATED = "customer.created"
    CUSTOMER_VERIFIED = "customer.verified"
    CUSTOMER_ROLE_CHANGED = "customer.role_changed"
    DISPUTE_OPENED = "dispute.opened"
    DISPUTE_STATED = "dispute.stated"
    DISPUTE_ENDED = "dispute.ended"
    BATCH_ACCEPTED = "batch.accepted"
    BATCH_HELD = "batch.held"
    BATCH_COMPLETED = "batch.completed"
    BATCH_REFUSED = "batch.refused"
    BATCH_CANCELLED = "batch.cancelled"
    NOTIFICATION_ADDED = "notification.added"
    STATEMENT_READY = "statement.ready"
    STANDING_ORDER_CREATED = "standing_order.created"
    STANDING_ORDER_CHANGED = "standing_order.changed"
    STANDING_ORDER_PAUSED = "standing_order.paused"
    STANDING_ORDER_RESUMED = "standing_order.resumed"
    STANDING_ORDER_CANCELLED = "standing_order.cancelled"
    STANDING_ORDER_COMPLETED = "standing_order.completed"
    STANDING_ORDER_PAID = "standing_order.paid"
    STANDING_ORDER_MISSED = "standing_order.missed"
    STANDING_ORDER_FAILED = "standing_order.failed"
    STANDING_ORDER_SKIPPED = "standing_order.skipped"
    WEBHOOK_ENDPOINT_FAILING = "webhook_endpoint.failing"
    WEBHOOK_ENDPOINT_DISABLED = "webhook_endpoint.disabled"
    WEBHOOK_ENDPOINT_RECOVERED = "webhook_endpoint.recovered"
    DELIVERY_DEAD = "delivery.dead"


@dataclass(frozen=True, slots=True)
class Event:
    """A numbered row of the outbox.

    `position` counts all events without a gap; those of one account have the order of its changes. `event_id` is what
    a consumer recognises a repeat by. `account_id` and `account_version` are the account that changed and how many
    entries it had then; None: no account changed. `audience` are the customers who may see it; staff see all.
    """

    position: int
    event_id: EventId
    type: EventType
    version: int
    subject: str
    partition_key: str
    account_id: AccountId | None
    account_version: int | None
    audience: tuple[CustomerId, ...]
    data: dict[str, Any]
    request_id: str | None
    occurred_at: datetime
