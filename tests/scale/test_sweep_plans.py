"""What sweeps, lists and audits look for among batches, standing orders and statements has an index.

The large books have none of these, so their plans are asked for as those of small tables are.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from batches.batch import BatchState
from batches.postgres.batches import Batches
from batches.postgres.open_batches import open_batches
from bulk_transfers.postgres import BulkTransfers
from ledger.ids import AccountId, CustomerId, StandingOrderId
from ledger.limits.tier_limits import DEFAULT_LIMITS
from ledger.postgres.proof.other_parts import other_parts
from screening.postgres.rules_in_force import RulesInForce
from screening.rule_sets import rule_set_of
from standing_orders.calendar import NO_HOLIDAYS, RunHours
from standing_orders.postgres.due_dates import DueDates
from standing_orders.postgres.due_payments import DuePayments
from standing_orders.postgres.late import late_payments
from standing_orders.postgres.orders import OrderSearch, StandingOrders
from standing_orders.standing_order import DueRules, StandingOrderState
from statements.postgres.account_statements import AccountStatements
from statements.postgres.monthly_sweep import make_monthly
from statements.postgres.unfinished import unfinished_statements
from tests.orders import FINGERPRINTS
from tests.scale.conftest import IS_LARGE
from tests.scale.explained import ExplainedDatabase
from tests.statements.scene import TERMS

pytestmark = pytest.mark.timeout(7_200 if IS_LARGE else 120)

NOBODY, NO_ACCOUNT, NO_ORDER = CustomerId("cus_none"), AccountId("acc_none"), StandingOrderId("sto_none")
HOURS = RunHours((6,))
RULES = DueRules(NO_HOLIDAYS, HOURS)


async def check(explained: ExplainedDatabase, reads: dict[str, Callable[[], Awaitable[object]]]) -> None:
    for what, read in reads.items():
        found = await explained.explain(read, as_it_is=False, runs=1)
        assert found.plans, what
        assert found.sequential == set(), f"{what} reads {found.sequential} from end to end"


async def test_a_sweep_over_standing_orders_finds_its_work_by_indexes(explained: ExplainedDatabase) -> None:
    bulk = BulkTransfers(FINGERPRINTS, RulesInForce(explained, rule_set_of([])))
    payments = DuePayments(explained, bulk, HOURS, DEFAULT_LIMITS)
    orders = StandingOrders(explained, FINGERPRINTS, RULES)
    await check(
        explained,
        {
            "dates that fall due": partial(DueDates(explained, FINGERPRINTS, RULES).fall_due, {NO_ORDER}),
            "what is due": payments.due,
            "what is under way and has ended": payments.follow,
            "what needs a workflow of its own": partial(payments.to_start, 500),
            "what is late": partial(late_payments, explained),
            "all orders": partial(orders.listed, OrderSearch(), 50),
            "paused orders": partial(orders.listed, OrderSearch(state=StandingOrderState.PAUSED), 50),
            "a customer's orders": partial(orders.listed, OrderSearch(owner_id=NOBODY), 50),
        },
    )


async def test_recovery_and_lists_find_batches_by_indexes(explained: ExplainedDatabase) -> None:
    batches = Batches(explained, FINGERPRINTS)
    await check(
        explained,
        {
            "batches to recover": partial(batches.open_since, 60),
            "batches without progress": partial(open_batches, explained, 20),
            "all batches": partial(batches.all_of, 50),
            "held batches": partial(batches.all_of, 50, state=BatchState.HELD),
            "a customer's batches": partial(batches.all_of, 50, owner_id=NOBODY),
        },
    )


async def test_the_monthly_sweep_of_statements_finds_its_work_by_indexes(explained: ExplainedDatabase) -> None:
    statements = AccountStatements(explained, TERMS)
    # The accounts at the end of the list only: a sweep makes statements of the others.
    last = AccountId("acc_zzzzzzzzzzzzzzzzzzzzzzzzzz")
    await check(
        explained,
        {
            "accounts without a statement": partial(make_monthly, statements, last, lambda: None),
            "statements that are not added up": partial(statements.open_since, 60),
            "statements that are overdue": partial(unfinished_statements, explained, 20),
            "an account's statements": partial(statements.of_account, NO_ACCOUNT, 1_000, 50),
        },
    )


@pytest.mark.parametrize("is_full", [False, True])
async def test_an_audit_finds_batches_standing_orders_and_statements_by_indexes(
    explained: ExplainedDatabase, *, is_full: bool
) -> None:
    since = None if is_full else datetime.now(UTC) - timedelta(hours=1)

    async def all_parts() -> object:
        async with explained.connection() as connection:
            parts = [part async for part in other_parts(connection, since, limit_seconds=60)]
            return [await connection.fetch(section, *values) for section, values in parts]

    await check(explained, {"an audit": all_parts})
