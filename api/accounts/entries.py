"""One page of an account's entries."""

from api.accounts.models import EntriesOut, EntryOut
from api.http.paging import next_cursor
from api.services import Services
from ledger.accounts import Account


async def entries_page(remit: Services, account: Account, limit: int, cursor: str | None) -> EntriesOut:
    """A page of an account's entries, newest first. The caller has checked that they may be read."""
    of_list = f"entries of {account.id}"
    below = account.version + 1 if cursor is None else int(remit.cursors.read(of_list, cursor)[0])
    page = await remit.account_reads.entries(account.id, below, limit)
    return EntriesOut(
        items=[EntryOut.of(entry, account) for entry in page.items],
        next_cursor=next_cursor(page, lambda last: remit.cursors.sign(of_list, last.version)),
    ).owned_by(account.owner_id)
