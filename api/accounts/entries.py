"""One page of an account's entries."""

from pydantic import Field

from api.accounts.models import EntriesOut, EntryOut
from api.http.fields import ListFilters, Minor
from api.http.paging import next_cursor
from api.services import Services
from ledger.accounts import Account
from ledger.postgres.account_reads import EntryFilter
from ledger.transfers import Leg


class EntryFilters(ListFilters):
    """All filters of a request apply together. One that is left out allows every entry."""

    leg: Leg | None = Field(None, description="What the transfer did to the account: took, brought or returned money")
    min_amount: Minor | None = Field(None, description="At least this amount, in minor units, in or out")
    max_amount: Minor | None = Field(None, description="At most this amount, in minor units, in or out")

    @property
    def filter(self) -> EntryFilter:
        """Without the place in the list."""
        return EntryFilter(self.leg, self.min_amount, self.max_amount, self.span)


async def entries_page(remit: Services, account: Account, wanted: EntryFilters) -> EntriesOut:
    """A page of an account's entries, newest first. The caller has checked that they may be read."""
    of_list, cursor = f"entries of {account.id}", wanted.cursor
    below = account.version + 1 if cursor is None else int(remit.cursors.read(of_list, cursor)[0])
    page = await remit.account_reads.entries(account.id, below, wanted.limit, wanted.filter)
    return EntriesOut(
        items=[EntryOut.of(entry, account) for entry in page.items],
        next_cursor=next_cursor(page, lambda last: remit.cursors.sign(of_list, last.version)),
    ).owned_by(account.owner_id)
