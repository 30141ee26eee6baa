"""What customers read of the projections: when a transfer reached each of its states."""

from fastapi import APIRouter

from api.auth.sessions import TransfersRead
from api.http.problems import Problem, problem_responses
from api.http.route import CheckedRoute
from api.projections.models import TransferStatusOut
from api.services import Remit
from ledger.ids import TransferId

router = APIRouter(prefix="/v1/transfers", tags=["transfers"], route_class=CheckedRoute)


@router.get(
    "/{transfer_id}/status",
    operation_id="transfers.status",
    summary="Read when a transfer reached each of its states",
    responses=problem_responses("not_authenticated", "token_expired", "database_unavailable", "transfer_not_found"),
)
async def status(transfer_id: TransferId, session: TransfersRead, remit: Remit) -> TransferStatusOut:
    """For whoever asked for the transfer. It may be a moment behind: `position` says how far it is.

    `GET /v1/transfers/{id}` is never behind.
    """
    found = await remit.transfer_reads.visible(session.customer.id, transfer_id)
    if found is None or found.owner_id != session.customer.id:
        raise Problem("transfer_not_found")
    return TransferStatusOut.of(found, await remit.projection_reads.status(transfer_id))
