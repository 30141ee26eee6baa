"""The last step of a transfer: one message for each party."""

from temporalio import activity

from ledger.transfers import Standing, Step, TransferOrder
from notifications.messages import ending_messages
from notifications.postgres import Messages


class NotificationSteps:
    """Messages about how a transfer ended. No money moves here."""

    def __init__(self, messages: Messages) -> None:
        self._messages = messages

    @activity.defn
    async def notify_parties(self, order: TransferOrder, standing: Standing) -> None:
        """Write a message to the source's owner, and to the destination's if money arrived. A repeat writes none."""
        await self._messages.write(Step(order.transfer_id, standing.attempt), ending_messages(order, standing))
