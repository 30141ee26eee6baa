"""Notifications: what a customer is told, in their list and by the channels that they choose. Pure: no I/O."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from ledger.ids import AccountId, CustomerId, NotificationId, TransferId


class NotificationType(StrEnum):
    """What a notification is about, as customers choose by it."""

    TRANSFERS = "transfers"
    DISPUTES = "disputes"
    ACCOUNTS = "accounts"
    IDENTITY = "identity"


# Of an occasion that names what it is about: how that one's id begins.
_BY_PREFIX = {
    "dsp_": NotificationType.DISPUTES,
    "act_": NotificationType.ACCOUNTS,
    "trq_": NotificationType.ACCOUNTS,
    "whe_": NotificationType.ACCOUNTS,
    "sto_": NotificationType.TRANSFERS,
}

# How a transfer's attempt ended.
ENDED = "ended"

# How the occasion of a statement of an account begins; its number follows.
STATEMENT = "statement/"


def type_of(occasion: str) -> NotificationType:
    """What the notification of this occasion is about.

    For example `ended`, `dsp_…/opened`, `act_…/frozen`, `statement/3` or `welcomed`.
    """
    if occasion == ENDED:
        return NotificationType.TRANSFERS
    if occasion.startswith(STATEMENT):
        return NotificationType.ACCOUNTS
    return _BY_PREFIX.get(occasion[:4], NotificationType.IDENTITY)


@dataclass(frozen=True, slots=True)
class Notification:
    """One notification. Only `read_at` changes, once. One without `transfer_id` is about an account or the customer."""

    id: NotificationId
    customer_id: CustomerId
    account_id: AccountId | None
    transfer_id: TransferId | None
    occasion: str
    body: str
    created_at: datetime
    read_at: datetime | None

    @property
    def type(self) -> NotificationType:
        """What it is about."""
        return type_of(self.occasion)


@dataclass(frozen=True, slots=True)
class ReadMarks:
    """How many notifications a request marked as read, and how many are unread now, up to `MOST_COUNTED`."""

    marked: int
    unread: int


# Nobody reads further than "100 or more", and counting stays cheap.
MOST_COUNTED = 100
