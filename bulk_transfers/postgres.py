"""Many transfers at once: screened, posted, and told to their parties, in the transaction of whoever has them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ledger.bulk.fold import BulkOutcome
from ledger.fingerprints import Fingerprints
from ledger.limits.tier_limits import DEFAULT_LIMITS, LimitTable
from ledger.postgres.bulk.post import post_transfers
from ledger.transfers import TransferOrder
from notifications.messages import ending_messages
from notifications.postgres import write_ending_messages
from screening.postgres.bulk_verdicts import BulkScreening
from screening.postgres.rules_in_force import RulesInForce

if TYPE_CHECKING:
    from database.connections import Connection


class BulkTransfers:
    """What batches and standing orders share. It opens no transaction: see `post_transfers` for what one may hold."""

    def __init__(self, fingerprints: Fingerprints, rules: RulesInForce, limits: LimitTable = DEFAULT_LIMITS) -> None:
        self._fingerprints = fingerprints
        self._rules = rules
        self._limits = limits

    @property
    def fingerprints(self) -> Fingerprints:
        """What signs and checks the orders."""
        return self._fingerprints

    async def post(
        self,
        connection: "Connection",
        orders: Sequence[TransferOrder],
        *,
        all_or_none: bool = False,
        reviews_pass: bool = False,
    ) -> list[BulkOutcome]:
        """Screen and post signed orders in their order, and write the messages about those that ended.

        Promises and raises what `post_transfers` does, and `Unavailable` while the rules cannot be read. An order that
        `needs_review` has no row: after the commit, its caller starts a workflow for it, which screens it again. With
        `all_or_none` nothing is written unless all are completed. `reviews_pass`: a person has decided about these
        orders, so none needs a review any more; one that is declined still fails.
        """
        screening = BulkScreening(await self._rules.now(connection), reviews_pass)
        outcomes = await post_transfers(
            connection,
            orders,
            self._fingerprints,
            prepare_screen=screening.prepare,
            limits=self._limits,
            all_or_none=all_or_none,
        )
        if all_or_none and not all(outcome.is_completed_now for outcome in outcomes):
            return outcomes
        written = [(outcome.order, outcome.standing) for outcome in outcomes if outcome.is_new and outcome.standing]
        await screening.keep(connection, outcomes)
        messages = [
            (order.transfer_id, account_id, body)
            for order, standing in written
            for account_id, body in ending_messages(order, standing).items()
        ]
        await write_ending_messages(connection, messages)
        return outcomes
