"""The steps of a sweep over standing orders: pay what is due, and find what goes on in a workflow of its own."""

from time import monotonic

from temporalio import activity

from activities.recovery import report_progress
from bulk_transfers.postgres import BulkTransfers
from database.connections import Database
from ledger.ids import StandingOrderId
from ledger.limits.tier_limits import LimitTable
from ledger.transfers import TransferOrder
from standing_orders.occurrence import SweepReport
from standing_orders.postgres.due_dates import DueDates
from standing_orders.postgres.due_payments import DuePayments
from standing_orders.standing_order import DueRules

# One step works for so long, and is well within its limit then. The sweep calls it again while there is more.
WITHIN_SECONDS = 40

# The most transfers that one sweep starts a workflow for. The next one goes on.
AT_MOST = 500


def standing_order_steps(
    database: Database, bulk: BulkTransfers, due: DueRules, limits: LimitTable
) -> "StandingOrderSteps":
    """The steps over this database."""
    dates = DueDates(database, bulk.fingerprints, due)
    return StandingOrderSteps(dates, DuePayments(database, bulk, due.hours, limits))


class StandingOrderSteps:
    """Steps over the standing orders of one database. Safe to repeat, and to run at the same time as themselves."""

    def __init__(
        self,
        dates: DueDates,
        payments: DuePayments,
        *,
        at_most: int = AT_MOST,
        within_seconds: int = WITHIN_SECONDS,
    ) -> None:
        self._dates = dates
        self._payments = payments
        self._at_most = at_most
        self._within_seconds = within_seconds

    @activity.defn
    async def pay_standing_orders(self) -> SweepReport:
        """Let dates fall due, pay them, and follow those that went on in a workflow, as far as the time allows.

        Each transaction is a whole: whenever this ends, what is left is found by the next call.
        """
        until, report = monotonic() + self._within_seconds, SweepReport()
        altered: set[StandingOrderId] = set()
        while await self._dates.renew_stamps(altered):
            report_progress()
            if monotonic() >= until:
                return report.plus(SweepReport(more=True))
        while fell_due := await self._dates.fall_due(altered):
            report = report.plus(SweepReport(fell_due=fell_due))
            report_progress()
            if monotonic() >= until:
                return report.plus(SweepReport(more=True))
        report = report.plus(SweepReport(left=len(altered), more=True))
        while report.more:
            report = report.plus(await self._payments.follow())
            report_progress()
        workflow_id = activity.info().workflow_id
        assert workflow_id is not None, "a workflow sweeps"
        places = await self._payments.due()
        while places:
            if monotonic() >= until:
                return report.plus(SweepReport(more=True))
            report = report.plus(await self._payments.pay(places, workflow_id, report_progress))
            report_progress()
            places = await self._payments.due(places[-1])
        return report

    @activity.defn
    async def find_standing_order_transfers(self) -> list[TransferOrder]:
        """Orders of transfers that go on in a workflow of their own, whose rows are not written yet."""
        return await self._payments.to_start(self._at_most)
