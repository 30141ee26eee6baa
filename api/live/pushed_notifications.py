"""Notifications that are pushed: each is read once for all sockets of its customer in this process."""

import asyncio

from ledger.ids import CustomerId, NotificationId
from notifications.notification import Notification
from notifications.postgres import Notifications

# Sockets of one customer hear of an event at the same moment. What comes later reads what there is then.
KEPT_SECONDS = 1

_Wanted = tuple[CustomerId, NotificationId]


class PushedNotifications:
    """Raises `Unavailable` where PostgreSQL gave no answer; the next call asks again."""

    def __init__(self, notifications: Notifications) -> None:
        self._notifications = notifications
        self._reads: dict[_Wanted, asyncio.Task[Notification | None]] = {}

    async def find(self, reader_id: CustomerId, notification_id: NotificationId) -> Notification | None:
        """The notification that was just added, as `Notifications.find`."""
        wanted = (reader_id, notification_id)
        read = self._reads.get(wanted)
        if read is None:
            read = self._reads[wanted] = asyncio.create_task(self._notifications.find(*wanted))
            read.add_done_callback(lambda done: self._keep(wanted, done))
        # Whoever hangs up ends nobody else's read.
        return await asyncio.shield(read)

    def _keep(self, wanted: _Wanted, done: asyncio.Task[Notification | None]) -> None:
        if done.cancelled() or done.exception() is not None:
            self._reads.pop(wanted, None)
        else:
            asyncio.get_running_loop().call_later(KEPT_SECONDS, self._reads.pop, wanted, None)
