"""Standing orders of a test, and sweeps at a time of its own."""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from bulk_transfers.postgres import BulkTransfers
from customers.postgres import Customers
from database.connections import Database
from ledger.fingerprints import Fingerprints
from ledger.ids import StandingOrderId
from ledger.limits.tier_limits import DEFAULT_LIMITS
from ledger.postgres.book import Book
from screening.postgres.rules_in_force import RulesInForce
from screening.rule_sets import rule_set_of
from screening.rules import ScreeningAnswer
from screening.standard_rules import AmountThreshold
from standing_orders.calendar import NO_HOLIDAYS, Frequency, HolidayCalendar, HolidayRule, RunHours
from standing_orders.occurrence import Occurrence, SweepReport
from standing_orders.postgres.due_dates import DueDates
from standing_orders.postgres.due_payments import DuePayments
from standing_orders.postgres.orders import StandingOrders
from standing_orders.postgres.rows import time_now
from standing_orders.standing_order import DueRules, OutageRule, StandingOrder, StandingOrderTerms
from tests.orders import FINGERPRINTS, Holder, deposited, holder

if TYPE_CHECKING:
    from database.connections import Connection

# Every hour of a day: what is due today is due at once, and is tried again each hour.
HOURS = RunHours(tuple(range(24)))


# Everything above this is reviewed.
REVIEW_FROM_MAJOR = 50

# The workflow of a sweep.
SWEEP = "standing-orders"


@dataclass
class Scene:
    """`later` is how far its clock is ahead of PostgreSQL's."""

    database: Database
    customers: Customers
    book: Book
    hours: RunHours = HOURS
    holidays: HolidayCalendar = NO_HOLIDAYS
    later: timedelta = field(default_factory=timedelta)
    fingerprints: Fingerprints = FINGERPRINTS

    @property
    def rules(self) -> DueRules:
        return DueRules(self.holidays, self.hours)

    @property
    def orders(self) -> StandingOrders:
        return StandingOrders(self.database, self.fingerprints, self.rules)

    async def clock(self, connection: "Connection") -> datetime:
        return await time_now(connection) + self.later

    def dates(self, at_once: int = 500) -> DueDates:
        return DueDates(self.database, self.fingerprints, self.rules, clock=self.clock, at_once=at_once)

    def payments(self, at_once: int = 500) -> DuePayments:
        return DuePayments(self.database, self.bulk, self.hours, DEFAULT_LIMITS, clock=self.clock, at_once=at_once)

    @property
    def bulk(self) -> BulkTransfers:
        rules = [AmountThreshold(REVIEW_FROM_MAJOR, ScreeningAnswer.REVIEW)]
        return BulkTransfers(self.fingerprints, RulesInForce(self.database, rule_set_of(rules)))

    async def today(self) -> date:
        async with self.database.connection() as connection:
            return (await self.clock(connection)).date()

    async def holder(self, balance_minor: int = 0) -> Holder:
        made = await holder(self.customers)
        if balance_minor:
            await deposited(self.book, made.id, made.account_id, balance_minor)
        return made

    async def ordered(self, payer: Holder, payee: Holder, **terms: Any) -> StandingOrder:
        """An order of 100 each day from today on, unless `terms` say otherwise."""
        given: dict[str, Any] = {
            "destination_account_id": payee.account_id,
            "amount_minor": None if "above_minor" in terms else 100,
            "above_minor": None,
            "note": None,
            "frequency": Frequency.DAILY,
            "first_date": await self.today(),
            "every": 1,
            "last_day": False,
            "end_date": None,
            "count": None,
            "time_zone": "UTC",
            "holidays": HolidayRule.ON_THE_DAY,
            "after_outage": OutageRule.PAY_EACH,
            "retry_days": 0,
        }
        return await self.orders.create(payer.id, payer.account_id, "USD", StandingOrderTerms(**given | terms))

    async def sweep(self, at_once: int = 500) -> SweepReport:
        """All that one sweep does, without its workflow."""
        report = SweepReport()
        dates, payments = self.dates(at_once), self.payments(at_once)
        altered: set[StandingOrderId] = set()
        while await dates.renew_stamps(altered):
            pass
        while await dates.fall_due(altered):
            pass
        report = report.plus(await payments.follow())
        places = await payments.due()
        while places:
            report = report.plus(await payments.pay(places, SWEEP))
            places = await payments.due(places[-1])
        return report

    async def past(self, order: StandingOrder) -> list[Occurrence]:
        """The order's occurrences, oldest first."""
        return list(reversed((await self.orders.past(order.owner_id, order.id, None, 50)).items))

    async def states(self, order: StandingOrder) -> list[tuple[str, str | None]]:
        return [(each.state.value, each.code) for each in await self.past(order)]

    async def balance(self, of: Holder) -> int:
        async with self.database.connection() as connection:
            found: int = await connection.fetchval("SELECT balance_minor FROM accounts WHERE id = $1", of.account_id)
            return found
