"""By which channels a customer is told what, beside their list. Pure: no I/O."""

from dataclasses import dataclass

from ledger.ids import NotificationId
from notifications.notification import NotificationType

# Transfers are in a list of their own, and there may be thousands of them.
MAILED_UNLESS_CHOSEN = frozenset({NotificationType.DISPUTES, NotificationType.ACCOUNTS, NotificationType.IDENTITY})


@dataclass(frozen=True, slots=True)
class ChannelChoice:
    """The types of notifications that reach a customer by e-mail. Their list has all, whatever they chose."""

    email: frozenset[NotificationType] = MAILED_UNLESS_CHOSEN


@dataclass(frozen=True, slots=True)
class Letter:
    """A notification, to be mailed or not. Only an address that its owner has shown to be theirs gets any."""

    notification_id: NotificationId
    type: NotificationType
    body: str
    to: str
    may_be_reached: bool
    choice: ChannelChoice

    @property
    def is_wanted(self) -> bool:
        """Whether a mail is sent."""
        return self.may_be_reached and self.type in self.choice.email
