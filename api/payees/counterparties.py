"""The other sides of transfers, as their customers may see them."""

from collections.abc import Collection, Iterable

from api.payees.models import CounterpartyOut
from api.services import Services
from ledger.ids import AccountId, CustomerId
from ledger.transfers import Transfer

EXCHANGED = "Of the accounts that money has moved to or from, other than the reader's own, by their ids"


async def counterparties(
    remit: Services, reader_id: CustomerId, transfers: Iterable[Transfer]
) -> dict[AccountId, CounterpartyOut]:
    """The other sides of these transfers by their accounts, in one read.

    Only where money has moved: a payment that is refused shows nobody's name, or it would be a payee check that counts
    for nobody.
    """
    exchanged = {transfer.counterparty_of(reader_id) for transfer in transfers}
    return await counterparties_with(remit, reader_id, {account_id for account_id in exchanged if account_id})


async def counterparties_with(
    remit: Services, reader_id: CustomerId, account_ids: Collection[AccountId]
) -> dict[AccountId, CounterpartyOut]:
    """Those with these accounts. The caller has checked that money has moved between the reader and each of them."""
    holders = await remit.payees.holders(account_ids)
    return {
        account_id: CounterpartyOut.of(holder) for account_id, holder in holders.items() if holder.owner_id != reader_id
    }
