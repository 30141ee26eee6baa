"""No list and no figure reads a table from end to end, and each answers in time, however large the books are."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial

import asyncpg
import pytest

from bench.postgres.large_books import MOST_MINOR, PERIOD, RARE_CURRENCY
from database.connections import Database
from database.paging import Place, Span
from ledger.postgres.account_reads import AccountReads, EntryFilter
from ledger.postgres.audit import audit, totals
from ledger.postgres.proof.running_totals import settle_totals
from ledger.postgres.proof.snapshots import SNAPSHOT_EVERY
from ledger.postgres.transfer_reads import TransferFilter, TransferReads, Unfinished
from ledger.transfers import Kind, Leg, State
from screening.facts import AvailableBalance, MovementsWithin, Need, PaidBefore, ReceivedWithin
from screening.postgres.fact_reads import read_past_facts
from screening.postgres.past_transfers import PastTransfers
from screening.postgres.rules_in_force import InForce
from screening.rule_sets import rule_set_in
from staff.period_stats.period import Period
from staff.period_stats.postgres import PeriodReads
from staff.postgres.stats import LedgerStats
from staff.postgres.transfer_search import TransferSearch, TransferSearches
from tests.orders import FINGERPRINTS
from tests.scale.conftest import IS_LARGE, Large, tell
from tests.scale.explained import Explained, ExplainedDatabase

pytestmark = pytest.mark.timeout(7_200 if IS_LARGE else 120)

Read = Callable[[], Awaitable[object]]

# The median of a read on books of any size, on a computer that does other things as well.
MOST_MS = 150
PAGE = 50
# Transfers that are not final are few, and read one by one.
MOST_IN_VAIN = 1_000

MIDDLE: Place = (datetime.now(UTC) - PERIOD / 2, "trf_m")

# Staff's searches, by what they look for.
SEARCHES: dict[str, TransferSearch] = {
    "everything": TransferSearch(),
    "everything, from the middle on": TransferSearch(before=MIDDLE),
    "a week, long ago": TransferSearch(created_after=MIDDLE[0], created_before=MIDDLE[0] + timedelta(days=7)),
    "an exact amount": TransferSearch(least_minor=54_321, most_minor=54_321),
    "the largest amounts": TransferSearch(least_minor=MOST_MINOR - 10, most_minor=MOST_MINOR),
    "amounts that nobody sent": TransferSearch(least_minor=MOST_MINOR * 1_000),
    "a rare currency": TransferSearch(currency=RARE_CURRENCY),
    "a currency that nobody uses": TransferSearch(currency="JPY"),
    "a rare kind in a rare currency": TransferSearch(kind=Kind.REVERSAL, currency=RARE_CURRENCY),
    "failed, in a currency that nobody uses": TransferSearch(state=State.FAILED, currency="JPY"),
    "a customer who sent nothing": TransferSearch(owner_id="cus_none"),  # type: ignore[arg-type]
    "unmoved for a second": TransferSearch(unmoved_for=timedelta(seconds=1)),
    **{f"state {state}": TransferSearch(state=state) for state in State},
    **{f"kind {kind}": TransferSearch(kind=kind) for kind in Kind},
}

# Searches for one thing, of which there is little or nothing. They read no more than that: what is read in vain comes
# from the disk, for seconds, where nobody has searched for a while.
FOR_ONE_THING = (
    "an exact amount",
    "amounts that nobody sent",
    "a rare currency",
    "a currency that nobody uses",
    "a customer who sent nothing",
)


@pytest.fixture(scope="module", autouse=True)
async def settled(large: Large) -> None:
    """The running totals are as near to the present as they are in a service that runs."""
    connection = await asyncpg.connect(large.url)
    await connection.execute("UPDATE totals_position SET settled_until = clock_timestamp() - interval '5 minutes'")
    await connection.close()
    began = time.monotonic()
    async with Database(large.url, connections=1) as database:
        await settle_totals(database)
        async with database.connection() as taking:
            merchant = [large.merchant.account_id]
            while await taking.fetchval("SELECT take_snapshots($1, $2)", merchant, SNAPSHOT_EVERY):
                pass
    tell(f"\nall {large.transfers:,} transfers counted in {time.monotonic() - began:.1f} s")


async def check(explained: ExplainedDatabase, what: str, read: Read) -> Explained:
    found = await explained.explain(read, as_it_is=IS_LARGE, runs=8 if IS_LARGE else 2)
    tell(f"{found.median_ms:8.1f} ms  (slowest {found.slowest_ms:.1f})  {what}")
    for plan in found.plans:
        for scan in plan.scans:
            tell(f"             {scan}")
    assert found.sequential == set(), f"{what} reads {found.sequential} from end to end"
    if IS_LARGE:
        assert found.median_ms < MOST_MS, f"{what} took {found.median_ms:.0f} ms"
    return found


@pytest.mark.parametrize("what", SEARCHES)
async def test_a_search_of_staff_reads_no_table_from_end_to_end(explained: ExplainedDatabase, what: str) -> None:
    found = await check(explained, f"staff: {what}", partial(TransferSearches(explained).find, SEARCHES[what], PAGE))
    if IS_LARGE and what in FOR_ONE_THING:
        assert found.discarded <= MOST_IN_VAIN


async def test_a_search_about_a_merchant_reads_no_table_from_end_to_end(
    explained: ExplainedDatabase, large: Large
) -> None:
    searches, merchant = TransferSearches(explained), large.merchant
    for what, wanted in {
        "merchant's account": TransferSearch(account_id=merchant.account_id),
        "merchant's account, middle": TransferSearch(account_id=merchant.account_id, before=MIDDLE),
        "merchant's account, failed": TransferSearch(account_id=merchant.account_id, state=State.FAILED),
        "merchant's account, in review": TransferSearch(account_id=merchant.account_id, state=State.IN_REVIEW),
        "merchant as owner": TransferSearch(owner_id=merchant.id),
        "merchant as owner, cancelled": TransferSearch(owner_id=merchant.id, state=State.CANCELLED),
    }.items():
        await check(explained, f"staff: {what}", partial(searches.find, wanted, PAGE))


@pytest.mark.parametrize("who", ["merchant", "rare"])
async def test_a_customers_lists_read_no_table_from_end_to_end(
    explained: ExplainedDatabase, large: Large, who: str
) -> None:
    party, reads = getattr(large, who), TransferReads(explained)
    for what, wanted in {
        "transfers": TransferFilter(),
        "transfers, from the middle on": TransferFilter(before=MIDDLE),
        "transfers of an account": TransferFilter(account_id=party.account_id),
        **{f"transfers in {state}": TransferFilter(state=state) for state in State},
    }.items():
        await check(explained, f"{who}: {what}", partial(reads.find, party.id, wanted, PAGE))
    accounts, account_id = AccountReads(explained), party.account_id
    for what, filtered in {
        "entries": EntryFilter(),
        "entries of a week": EntryFilter(within=Span(MIDDLE[0], MIDDLE[0] + timedelta(days=7))),
        "entries of an amount, of a day": EntryFilter(least_minor=54_321, within=Span(MIDDLE[0] - timedelta(days=1))),
        "refunds": EntryFilter(leg=Leg.REFUND),
    }.items():
        await check(explained, f"{who}: {what}", partial(accounts.entries, account_id, 1_000_000_000, PAGE, filtered))
    await check(explained, f"{who}: balance at a moment", partial(accounts.balance_at, account_id, MIDDLE[0]))
    await check(explained, f"{who}: statistics", partial(accounts.statistics, account_id))


async def test_screening_and_its_dry_run_read_no_table_from_end_to_end(
    explained: ExplainedDatabase, large: Large
) -> None:
    party = large.merchant
    (newest,) = (await TransferReads(explained).find(party.id, TransferFilter(party.account_id), 1)).items
    needs: list[Need] = [
        MovementsWithin((Kind.TRANSFER, Kind.WITHDRAWAL), 86_400),
        ReceivedWithin((Kind.DEPOSIT, Kind.TRANSFER), 86_400),
        PaidBefore(),
        AvailableBalance(),
    ]

    async def facts() -> object:
        async with explained.connection() as connection:
            return await read_past_facts(connection, newest.order, needs)

    async def first_page() -> object:
        rules = InForce(rule_set_in([{"kind": "amount", "from_major": 1}]))
        return await anext(PastTransfers(explained, rules).read(timedelta(days=1)))

    await check(explained, "screening: all facts of a merchant's newest transfer", facts)
    await check(explained, "screening: the first page of a dry run", first_page)


async def test_figures_read_no_table_from_end_to_end(explained: ExplainedDatabase) -> None:
    stats, unfinished = LedgerStats(explained), Unfinished(explained)

    async def unfinished_ones() -> list[object]:
        return [found async for found in unfinished.transfers(older_than_seconds=0)]

    await check(explained, "stats", stats.read)
    await check(explained, "books", stats.totals)
    day = Period(MIDDLE[0], MIDDLE[0] + timedelta(days=1))
    await check(explained, "stats of a day", partial(PeriodReads(explained).read, day))
    await check(explained, "what recovery looks at", unfinished_ones)


async def test_the_figures_are_those_that_a_count_of_all_rows_gives(large: Large) -> None:
    connection = await asyncpg.connect(large.url)
    counted = await connection.fetch(
        "SELECT state, count(*) FROM transfers WHERE created_at > now() - interval '1 day' GROUP BY state", timeout=600
    )
    world = await connection.fetchval(
        """
        SELECT sum(CASE 'world' WHEN credit_account_id THEN amount_minor WHEN debit_account_id THEN -amount_minor END)
        FROM postings WHERE currency = 'USD'
        """,
        timeout=600,
    )
    held = await connection.fetchrow(
        "SELECT sum(balance_minor) AS minor, sum(version) AS entries, count(*) AS n FROM accounts "
        "WHERE currency = 'USD'"
    )
    await connection.close()
    assert held is not None
    async with Database(large.url, connections=2) as database:
        day = (await LedgerStats(database).read()).last_day
        (usd,) = [found for found in await totals(database) if found.currency == "USD"]
    naive = {row["state"]: row["count"] for row in counted}
    # The day moves on between the two counts.
    allowed = 20 if IS_LARGE else 0
    assert all(abs(day[state] - naive.get(state, 0)) <= allowed for state in State), (day, naive)
    assert (usd.accounts, usd.entries) == (held["n"], held["entries"])
    assert (usd.world_minor, usd.customers_minor) == (world, held["minor"])
    assert usd.customers_minor + usd.in_transit_minor + usd.world_minor == 0


async def test_an_audit_holds_no_snapshot_for_long_and_the_next_one_looks_only_at_what_is_new(large: Large) -> None:
    async with Database(large.url, connections=2, application_name="remit-verify") as database:
        for full in (True, False):
            longest = asyncio.create_task(_longest_statement(large.url))
            began = time.monotonic()
            found = await audit(database, FINGERPRINTS, full=full)
            seconds = time.monotonic() - began
            longest.cancel()
            ran = await longest
            kind = "full" if full else "incremental"
            tell(f"{kind} audit: {seconds:.1f} s, longest statement {ran:.2f} s, {len(found.broken)} findings")
            assert found.broken == []
            assert ran < 15
        assert found.since is not None


async def _longest_statement(url: str) -> float:
    """The seconds of the longest statement of an audit until this is cancelled."""
    connection = await asyncpg.connect(url)
    longest = 0.0
    try:
        while True:
            ran = await connection.fetchval(
                """
                SELECT extract(epoch FROM max(clock_timestamp() - xact_start)) FROM pg_stat_activity
                WHERE application_name = 'remit-verify' AND state = 'active'
                """
            )
            longest = max(longest, float(ran or 0))
            await asyncio.sleep(0.05)
    except asyncio.CancelledError:
        return longest
    finally:
        await connection.close()
