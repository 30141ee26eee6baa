"""Transfers as staff see them: those of all customers, and the whole file of one."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from api.http.fields import Currency, Cursor, Limit
from api.http.paging import next_cursor, place_in, place_of
from api.http.problems import Problem, problem_responses
from api.services import Remit
from api.staff.authorization import READING, Staff
from api.transfers.staff_models import AnyTransferOut, AnyTransfersOut, TransferFileOut
from ledger.ids import AccountId, CustomerId, TransferId
from ledger.money import MAX_AMOUNT_MINOR
from ledger.transfers import Kind, State
from staff.postgres.transfer_search import Flagged, TransferSearch

router = APIRouter(prefix="/v1/admin/transfers", tags=["admin"])

_YEAR_SECONDS = 366 * 24 * 60 * 60


Minor = Annotated[int, Field(ge=1, le=MAX_AMOUNT_MINOR)]
Id = Annotated[str, Field(pattern=r"^[a-z0-9_]{1,40}$")]


class Search(BaseModel):
    """The filters of the search. One that is left out allows every transfer."""

    model_config = ConfigDict(extra="forbid")

    state: State | None = None
    kind: Kind | None = None
    account_id: Id | None = Field(None, description="From or to this account")
    owner_id: Id | None = Field(None, description="Requested by this customer")
    currency: Currency | None = None
    min_amount: Minor | None = None
    max_amount: Minor | None = None
    created_after: AwareDatetime | None = Field(None, description="At this time or later")
    created_before: AwareDatetime | None = Field(None, description="Before this time")
    older_than_seconds: int | None = Field(
        None, ge=0, le=_YEAR_SECONDS, description="Not final, and unchanged for at least this long, in review or not"
    )
    needs_attention: bool | None = Field(
        None,
        description="true: not final, and marked in Temporal because a step has been without an answer for so long "
        "that a person should check it; false: all others. Temporal's list lags by about a second",
    )
    limit: Limit = 20
    cursor: Cursor = None

    def as_asked(self, reader_id: CustomerId, flagged: Flagged | None) -> TransferSearch:
        """The search in the ledger; `flagged` are the transfers that Temporal marks, if that filter is used."""
        unmoved = self.older_than_seconds
        return TransferSearch(
            state=self.state,
            kind=self.kind,
            account_id=AccountId(self.account_id) if self.account_id else None,
            owner_id=CustomerId(self.owner_id) if self.owner_id else None,
            currency=self.currency,
            least_minor=self.min_amount,
            most_minor=self.max_amount,
            created_after=self.created_after,
            created_before=self.created_before,
            unmoved_for=None if unmoved is None else timedelta(seconds=unmoved),
            flagged=flagged,
            hidden_from=reader_id,
            before=place_in(self.cursor),
        )


@router.get(
    "",
    summary="Find transfers",
    responses=problem_responses(*READING, "cursor_invalid", "validation_failed", "temporal_unavailable"),
)
async def transfers(wanted: Annotated[Search, Query()], reader: Staff, remit: Remit) -> AnyTransfersOut:
    """All customers' transfers, newest first. `needs_attention=true` lists those that are stuck and need a person.

    Only that filter calls Temporal, so only it answers 503 while Temporal is down; `older_than_seconds` does not.
    """
    asked = wanted.needs_attention
    flagged = None if asked is None else await remit.interventions.flagged(wanted=asked)
    search = wanted.as_asked(reader.id, flagged)
    page = await remit.transfer_searches.find(search, wanted.limit)
    return AnyTransfersOut(
        items=[AnyTransferOut.told(transfer, remit.web_ui.workflow(transfer.workflow_id)) for transfer in page.items],
        next_cursor=next_cursor(page, lambda last: place_of(last.created_at, last.id)),
    )


@router.get("/{transfer_id}", summary="Get any transfer", responses=problem_responses(*READING, "transfer_not_found"))
async def transfer(transfer_id: TransferId, reader: Staff, remit: Remit) -> TransferFileOut:
    """With its attempts, its postings, the entries of both sides, the messages about it, and staff's actions on it."""
    file = await remit.transfer_files.read(reader.id, transfer_id)
    if file is None:
        raise Problem("transfer_not_found", f"There is no transfer {transfer_id}.")
    return TransferFileOut.of_file(file, remit.web_ui.workflow(file.transfer.workflow_id))
