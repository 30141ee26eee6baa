"""What GraphQL shows: the same facts as the routes, in the same words."""

from datetime import datetime
from typing import Any, NewType

import strawberry

from api.notifications.models import NotificationOut
from events.event import Event

# GraphQL's own integers have 32 bits, which 21 million dollars exceed.
MinorUnits = NewType("MinorUnits", int)
MINOR_UNITS = strawberry.scalar(
    name="MinorUnits", description="An amount in the currency's minor unit", serialize=int, parse_value=int
)


@strawberry.type(name="Notification", description="Something that happened to you, your account or your transfer.")
class NotificationNode:
    """A notification as it is listed."""

    id: strawberry.ID
    type: str
    occasion: str
    body: str
    transfer_id: strawberry.ID | None
    account_id: strawberry.ID | None
    created_at: datetime
    read_at: datetime | None

    @classmethod
    def of(cls, shown: NotificationOut) -> "NotificationNode":
        """The same notification, after it was checked that the reader may have it."""
        return cls(**shown.model_dump() | {"type": shown.type.value})


@strawberry.type(description="A page of notifications, newest first.")
class NotificationPage:
    """`next_cursor` leads to older ones, `stream_cursor` to those that are added later."""

    items: list[NotificationNode]
    next_cursor: str | None = strawberry.field(description="What `after` of the next page is; null: this is the last.")
    unread: int = strawberry.field(description="How many are unread, counted up to 100.")
    stream_cursor: str = strawberry.field(
        description="What `after` of `notificationAdded` is, to miss nothing that comes after this page."
    )


@strawberry.type(description="What was marked as read.")
class NotificationsRead:
    """`marked` counts those that were unread before."""

    marked: int
    unread: int


@strawberry.type(description="A notification that was added.")
class NotificationAdded:
    """One message of the subscription."""

    cursor: str = strawberry.field(description="What `after` is when you subscribe again.")
    notification: NotificationNode


@strawberry.type(name="AccountEntry", description="What a transfer has changed of an account's balance.")
class EntryNode:
    """An entry, in the currency's minor unit."""

    transfer_id: strawberry.ID
    leg: str
    amount: MinorUnits
    balance_before: MinorUnits
    balance_after: MinorUnits


@strawberry.type(description="A change of one of your accounts.")
class AccountChanged:
    """One message of the subscription. Changes of one account come in the order in which they happened."""

    cursor: str = strawberry.field(description="What `after` is when you subscribe again.")
    type: str = strawberry.field(description="As of an event: transfer.debited, account.frozen, …")
    account_id: strawberry.ID
    version: int | None = strawberry.field(description="How many entries the account had then.")
    occurred_at: datetime
    currency: str | None
    entry: EntryNode | None = strawberry.field(description="Of a transfer.")
    status: str | None = strawberry.field(description="Of an event of the account itself, as are the next two.")
    frozen: str | None
    tier: int | None

    @classmethod
    def of(cls, event: Event, cursor: str) -> "AccountChanged | None":
        """What an event changed of an account of the reader's; None: of their accounts, nothing."""
        account: dict[str, Any] = event.data.get("account") or {}
        entry: dict[str, Any] | None = event.data.get("entry")
        account_id = entry["account_id"] if entry else account.get("id")
        if account_id is None:
            return None
        transfer = event.data.get("transfer") or {}
        return cls(
            cursor=cursor,
            type=event.type,
            account_id=account_id,
            version=event.account_version,
            occurred_at=event.occurred_at,
            currency=account.get("currency") or transfer.get("currency"),
            entry=EntryNode(
                transfer_id=transfer["id"],
                leg=entry["leg"],
                amount=MinorUnits(entry["amount"]),
                balance_before=MinorUnits(entry["balance_before"]),
                balance_after=MinorUnits(entry["balance_after"]),
            )
            if entry
            else None,
            status=account.get("status"),
            frozen=account.get("frozen"),
            tier=account.get("tier"),
        )
