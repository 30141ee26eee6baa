"""Transfers as staff see them: those of all customers, and the whole file of one."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from api.http.fields import Currency
from api.http.paging import next_cursor
from api.http.problems import Problem, problem_responses
from api.http.route import CheckedRoute
from api.services import Remit
from api.staff.authorization import READING, Staff
from api.transfers.filters import TransferFilters
from api.transfers.staff_models import AnyTransferOut, AnyTransfersOut, TransferFileOut
from database.paging import Place
from ledger.ids import CustomerId, TransferId
from staff.postgres.transfer_search import Flagged, TransferSearch

router = APIRouter(prefix="/v1/admin/transfers", tags=["admin"], route_class=CheckedRoute)

_YEAR_SECONDS = 366 * 24 * 60 * 60


Id = Annotated[str, Field(pattern=r"^[a-z0-9_]{1,40}$")]


class Search(TransferFilters):
    """The filters of the search: those of customers, and some for staff alone."""

    owner_id: Id | None = Field(None, description="Requested by this customer")
    currency: Currency | None = None
    older_than_seconds: int | None = Field(
        None, ge=0, le=_YEAR_SECONDS, description="Not final, and unchanged for at least this long, in review or not"
    )
    needs_attention: bool | None = Field(
        None,
        description="true: not final, and marked in Temporal because a step has been without an answer for so long "
        "that a person should check it; false: all others. Temporal's list lags by about a second",
    )

    def as_asked(self, reader_id: CustomerId, flagged: Flagged | None, before: Place | None) -> TransferSearch:
        """The search in the ledger; `flagged` are the transfers that Temporal marks, if that filter is used."""
        unmoved = self.older_than_seconds
        return TransferSearch(
            state=self.state,
            kind=self.kind,
            account_id=self.account_id,
            owner_id=CustomerId(self.owner_id) if self.owner_id else None,
            currency=self.currency,
            least_minor=self.min_amount,
            most_minor=self.max_amount,
            created_after=self.created_after,
            created_before=self.created_before,
            transaction_id=self.transaction_id,
            unmoved_for=None if unmoved is None else timedelta(seconds=unmoved),
            flagged=flagged,
            hidden_from=reader_id,
            before=before,
        )


@router.get(
    "",
    operation_id="admin.transfers.list",
    summary="Find transfers",
    responses=problem_responses(*READING, "cursor_invalid", "validation_failed", "temporal_unavailable"),
)
async def transfers(wanted: Annotated[Search, Query()], reader: Staff, remit: Remit) -> AnyTransfersOut:
    """All customers' transfers, newest first. `needs_attention=true` lists those that are stuck and need a person.

    Only that filter calls Temporal, so only it answers 503 while Temporal is down; `older_than_seconds` does not.
    """
    asked = wanted.needs_attention
    before = remit.cursors.read_place("all transfers", wanted.cursor)
    flagged = None if asked is None else await remit.interventions.flagged(wanted=asked)
    search = wanted.as_asked(reader.id, flagged, before)
    page = await remit.transfer_searches.find(search, wanted.limit)
    return AnyTransfersOut(
        items=[
            AnyTransferOut.for_staff(transfer, remit.web_ui.workflow(transfer.workflow_id)) for transfer in page.items
        ],
        next_cursor=next_cursor(page, lambda last: remit.cursors.sign_place("all transfers", last.created_at, last.id)),
    )


@router.get(
    "/{transfer_id}",
    operation_id="admin.transfers.get",
    summary="Get any transfer",
    responses=problem_responses(*READING, "transfer_not_found"),
)
async def transfer(transfer_id: TransferId, reader: Staff, remit: Remit) -> TransferFileOut:
    """With its attempts, its postings, the entries of both sides, the messages about it, and staff's actions on it."""
    file = await remit.transfer_files.read(reader.id, transfer_id)
    if file is None:
        raise Problem("transfer_not_found", f"There is no transfer {transfer_id}.")
    return TransferFileOut.of_file(file, remit.web_ui.workflow(file.transfer.workflow_id))
