"""The filters of lists of transfers. One that is left out allows every transfer."""

from typing import Annotated

from pydantic import Field

from api.http.fields import ListFilters, Minor, Text
from database.paging import Place
from ledger.ids import AccountId
from ledger.postgres.transfer_reads import TransferFilter
from ledger.transfers import Kind, State


class TransferFilters(ListFilters):
    """What customers and staff can filter by. All filters of a request apply together."""

    state: State | None = None
    kind: Kind | None = None
    account_id: AccountId | None = Field(None, pattern=r"^[a-z0-9_]{1,40}$", description="From or to this account")
    min_amount: Minor | None = Field(None, description="At least this amount, in minor units")
    max_amount: Minor | None = Field(None, description="At most this amount, in minor units")
    transaction_id: Annotated[str, Text, Field(max_length=100)] | None = Field(
        None, description="Deposits and withdrawals with this reference of their customer"
    )

    def of_customer(self, before: Place | None) -> TransferFilter:
        """The same for a list of one customer's transfers that begins after this place."""
        return TransferFilter(
            account_id=self.account_id,
            state=self.state,
            kind=self.kind,
            least_minor=self.min_amount,
            most_minor=self.max_amount,
            created_after=self.created_after,
            created_before=self.created_before,
            transaction_id=self.transaction_id,
            before=before,
        )
