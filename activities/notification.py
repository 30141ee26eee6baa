"""The last step: one message per party, to a table that a mailer may read, and to the log."""

import structlog
from temporalio import activity

from ledger.ids import SYSTEM_ACCOUNTS, AccountId
from ledger.postgres.book import Book
from ledger.transfers import Standing, State, Step, TransferOrder

log = structlog.get_logger()


class NotificationSteps:
    """Messages about how a transfer ended. Money is never touched here."""

    def __init__(self, book: Book) -> None:
        self._book = book

    @activity.defn
    async def notify_parties(self, order: TransferOrder, standing: Standing) -> None:
        """Tell the source's owner how it ended, and the destination's owner if money arrived. A repeat tells nobody."""
        parties = parties_of(order, standing)
        body = message(order, standing)
        await self._book.write_messages(Step(order.transfer_id, standing.attempt), parties, body)
        log.info("parties notified", transfer_id=order.transfer_id, state=standing.state, parties=parties)


def parties_of(order: TransferOrder, standing: Standing) -> list[AccountId]:
    """The customer accounts whose owners hear of it: the one who asked, and whoever was paid."""
    arrived = standing.state is State.COMPLETED
    heard = {order.customer_account_id} | (
        {order.source_account_id, order.destination_account_id} if arrived else set()
    )
    return sorted(heard - SYSTEM_ACCOUNTS)


def message(order: TransferOrder, standing: Standing) -> str:
    """What a party reads, without a word about the other party's account."""
    why = f" {standing.failure.message}" if standing.failure else ""
    return f"Your {order.kind} {order.transfer_id} of {order.amount} is {standing.state}.{why}"
