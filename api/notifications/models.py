"""Notifications, read marks and choices of channels as requests and answers."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from api.http.fields import In
from api.ownership.owned import Owned, OwnedPage, Ownerless
from ledger.ids import AccountId, NotificationId, TransferId
from notifications.choices.choice import ChannelChoice
from notifications.notification import MOST_COUNTED, Notification, NotificationType, ReadMarks

MOST_NAMED = 100

NotificationIdIn = Annotated[
    NotificationId,
    StringConstraints(pattern="^ntf_[a-z2-7]{26}$"),
    Field(examples=["ntf_h24j7dga5e3b2ci6f7j2g4h5ab"]),
]
Unread = Annotated[
    int, Field(description=f"How many are unread. Counted up to {MOST_COUNTED}: then there may be more", examples=[3])
]


class NotificationOut(Owned):
    """Something that happened to the customer, their account or their transfer.

    `occasion` says what exactly: `ended` of a transfer, `dsp_…/opened`, `act_…/frozen`, `welcomed`, …
    """

    not_found = "notification_not_found"

    id: NotificationId
    type: NotificationType
    occasion: str = Field(examples=["ended"])
    body: str = Field(examples=["You received $12.50 by transfer trf_iuwbh4hkzdez5j5ag3ea6cau2u."])
    transfer_id: TransferId | None
    account_id: AccountId | None
    created_at: datetime
    read_at: datetime | None = Field(examples=[None])

    @classmethod
    def of(cls, notification: Notification) -> "NotificationOut":
        return cls(
            id=notification.id,
            type=notification.type,
            occasion=notification.occasion,
            body=notification.body,
            transfer_id=notification.transfer_id,
            account_id=notification.account_id,
            created_at=notification.created_at,
            read_at=notification.read_at,
        ).owned_by(notification.customer_id)


class NotificationsOut(OwnedPage):
    items: list[NotificationOut]
    next_cursor: str | None
    unread: Unread


class ReadIn(In):
    """Either some notifications, or one that the customer has read through to: it, and all that are older."""

    ids: list[NotificationIdIn] | None = Field(None, min_length=1, max_length=MOST_NAMED)
    through: NotificationIdIn | None = None

    @model_validator(mode="after")
    def _names_one_way(self) -> Self:
        if (self.ids is None) == (self.through is None):
            raise ValueError("give ids or through")
        return self


class ReadMarksOut(Ownerless):
    """`marked` counts those that were unread before."""

    marked: int = Field(examples=[2])
    unread: Unread

    @classmethod
    def of(cls, marks: ReadMarks) -> "ReadMarksOut":
        return cls(marked=marks.marked, unread=marks.unread)


class ChosenTypes(BaseModel):
    """For each type of notification, whether it goes by this channel."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"transfers": False, "disputes": True, "accounts": True, "identity": True}]},
    )

    transfers: bool = Field(strict=True)
    disputes: bool = Field(strict=True)
    accounts: bool = Field(strict=True)
    identity: bool = Field(strict=True)


class NotificationSettingsIn(In):
    email: ChosenTypes

    @property
    def choice(self) -> ChannelChoice:
        return ChannelChoice(frozenset(map(NotificationType, (n for n, wanted in self.email if wanted))))


class NotificationSettingsOut(Ownerless):
    """Mails go to a verified address only, and only if this service sends mails. The list has every notification."""

    email: ChosenTypes

    @classmethod
    def of(cls, choice: ChannelChoice) -> "NotificationSettingsOut":
        return cls(email=ChosenTypes(**{each.value: each in choice.email for each in NotificationType}))
