"""The last step of a transfer: one notification for each party."""

from temporalio import activity

from ledger.transfers import Standing, Step, TransferOrder
from notifications.messages import ending_messages
from notifications.postgres import Notifications


class NotificationSteps:
    """Notifications about how a transfer ended. No money moves here."""

    def __init__(self, notifications: Notifications) -> None:
        self._notifications = notifications

    @activity.defn
    async def notify_parties(self, order: TransferOrder, standing: Standing) -> None:
        """Tell the source's owner, and the destination's if money arrived. A repeat writes nothing."""
        await self._notifications.write(Step(order.transfer_id, standing.attempt), ending_messages(order, standing))
