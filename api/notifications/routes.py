"""A customer's notifications, their read marks, and the choice of what comes by e-mail, too."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.auth.sessions import NotificationsRead, NotificationsWrite
from api.http.fields import Cursor, PageSize
from api.http.paging import next_cursor
from api.http.problems import Problem, problem_responses
from api.http.repeats import KEYED, KeptAnswers
from api.http.route import CheckedRoute
from api.notifications.models import (
    NotificationOut,
    NotificationSettingsIn,
    NotificationSettingsOut,
    NotificationsOut,
    ReadIn,
    ReadMarksOut,
)
from api.services import Remit, Services
from ledger.ids import CustomerId, NotificationId
from notifications.notification import Notification

router = APIRouter(prefix="/v1", tags=["notifications"], route_class=CheckedRoute)

_READING = ("not_authenticated", "token_expired", "database_unavailable")
_WRITING = (*_READING, "invalid_json", "body_too_large", "validation_failed")

UnreadOnly = Annotated[bool, Query(description="Leave out those that are read")]


@router.get(
    "/notifications",
    operation_id="notifications.list",
    summary="List my notifications",
    responses=problem_responses(*_READING, "cursor_invalid", "validation_failed"),
)
async def notifications(
    session: NotificationsRead,
    remit: Remit,
    unread_only: UnreadOnly = False,
    limit: PageSize = 20,
    cursor: Cursor = None,
) -> NotificationsOut:
    """Newest first. Sender and receiver of a transfer have one each, whatever comes by e-mail."""
    me = session.customer.id
    before = remit.cursors.read_place("notifications", cursor)
    page = await remit.notifications.of_customer(me, before, limit, unread_only=unread_only)
    return NotificationsOut(
        items=[NotificationOut.of(one) for one in page.items],
        next_cursor=next_cursor(page, lambda last: remit.cursors.sign_place("notifications", last.created_at, last.id)),
        unread=await remit.notifications.unread(me),
    )


@router.get(
    "/notifications/{notification_id}",
    operation_id="notifications.get",
    summary="Get a notification",
    responses=problem_responses(*_READING, "notification_not_found"),
)
async def notification(notification_id: NotificationId, session: NotificationsRead, remit: Remit) -> NotificationOut:
    """What an event `notification.added` names."""
    return NotificationOut.of(await own_notification(remit, session.customer.id, notification_id))


@router.post(
    "/notifications/read",
    operation_id="notifications.read",
    summary="Mark notifications as read",
    responses=problem_responses(*_WRITING, *KEYED, "notification_not_found"),
)
async def read(wanted: ReadIn, session: NotificationsWrite, remit: Remit, answers: KeptAnswers) -> ReadMarksOut:
    """Some by their `ids`, or one and all older ones by `through`, 10,000 at once. What is read stays read.

    Ids that are not yours change nothing.
    """
    me, keep = session.customer.id, answers.keep(ReadMarksOut.of)
    if wanted.ids is not None:
        return ReadMarksOut.of(await remit.notifications.mark_read(me, wanted.ids, keep))
    assert wanted.through is not None, "the model wants one of them"
    last = await own_notification(remit, me, wanted.through)
    return ReadMarksOut.of(await remit.notifications.mark_read_through(me, last, keep))


@router.get(
    "/notification-settings",
    operation_id="notifications.get_settings",
    summary="Get my notification settings",
    responses=problem_responses(*_READING),
)
async def settings(session: NotificationsRead, remit: Remit) -> NotificationSettingsOut:
    """What comes by e-mail as well: unless you choose, everything but transfers."""
    return NotificationSettingsOut.of(await remit.channel_choices.read(session.customer.id))


@router.put(
    "/notification-settings",
    operation_id="notifications.set_settings",
    summary="Set my notification settings",
    responses=problem_responses(*_WRITING),
)
async def set_settings(
    wanted: NotificationSettingsIn, session: NotificationsWrite, remit: Remit
) -> NotificationSettingsOut:
    """All of them at once. It counts for every mail that is not sent yet."""
    await remit.channel_choices.write(session.customer.id, wanted.choice)
    return NotificationSettingsOut.of(wanted.choice)


async def own_notification(remit: Services, me: CustomerId, notification_id: NotificationId) -> Notification:
    """A notification of this customer. Raises the problem `notification_not_found`."""
    found = await remit.notifications.find(me, notification_id)
    if found is None:
        raise Problem("notification_not_found")
    return found
