"""By which channels a customer is told what, beside their list. Pure: no I/O."""

from dataclasses import dataclass

from notifications.notification import NotificationType

# Transfers are in a list of their own, and there may be thousands of them.
MAILED_UNLESS_CHOSEN = frozenset({NotificationType.DISPUTES, NotificationType.ACCOUNTS, NotificationType.IDENTITY})


@dataclass(frozen=True, slots=True)
class ChannelChoice:
    """The types of notifications that reach a customer by e-mail. Their list has all, whatever they chose."""

    email: frozenset[NotificationType] = MAILED_UNLESS_CHOSEN


@dataclass(frozen=True, slots=True)
class Addressee:
    """Who gets a mail. Only the address of somebody who has shown that it is theirs gets any."""

    email: str
    is_verified: bool
    choice: ChannelChoice
