"""Statements of an account by leg, amount and time: what all its entries hold, compared one by one."""

from datetime import timedelta

from customers.postgres import Customers
from database.paging import Span
from ledger.ids import WORLD
from ledger.postgres.account_reads import AccountReads, EntryFilter
from ledger.postgres.book import Book
from ledger.transfers import Ending, Leg, Step
from tests.orders import completed, deposited, funded, order

INSTANT = timedelta(microseconds=1)


async def test_a_filtered_statement_holds_just_the_entries_that_match(
    customers: Customers, book: Book, account_reads: AccountReads
) -> None:
    ada = await funded(customers, book, 1_000)
    for amount in (10, 300):
        await completed(book, order(ada.id, ada.account_id, WORLD, amount))
        lost = order(ada.id, ada.account_id, WORLD, amount)
        await book.open_transfer(lost)
        await book.debit(Step(lost.transfer_id, 1))
        await book.refund(Ending(Step(lost.transfer_id, 1)))
    await deposited(book, ada.id, ada.account_id, 10)
    whole = (await account_reads.entries(ada.account_id, 100, 50)).items
    assert {each.leg for each in whole} == set(Leg)

    moments = [each.recorded_at + beside for each in whole[::2] for beside in (-INSTANT, timedelta(), INSTANT)]
    spans = [Span(since, until) for since in (None, *moments) for until in (None, *moments)]
    for wanted in (
        *(EntryFilter(leg=leg, least_minor=least) for leg in (None, *Leg) for least in (None, 11)),
        *(EntryFilter(most_minor=10, within=span) for span in spans),
    ):
        found = (await account_reads.entries(ada.account_id, 100, 50, wanted)).items
        assert found == [
            each
            for each in whole
            if wanted.leg in (None, each.leg)
            and abs(each.amount_minor) >= (wanted.least_minor or 0)
            and abs(each.amount_minor) <= (wanted.most_minor or 1_000_000)
            and (wanted.within.since is None or each.recorded_at >= wanted.within.since)
            and (wanted.within.until is None or each.recorded_at < wanted.within.until)
        ], wanted
