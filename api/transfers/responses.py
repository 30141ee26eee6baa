"""What every route that moves money shares: accept the request, answer 201 when it is final and 202 when not."""

from typing import Any

from fastapi import Response, status

from api.auth.sessions import Session
from api.http.problems import Problem, problem_responses
from api.services import Services
from api.transfers.acceptance import TransferRequest, order_for
from api.transfers.models import TransferOut

MOVING_PROBLEMS = (
    "invalid_json",
    "idempotency_key_missing",
    "idempotency_key_invalid",
    "prefer_invalid",
    "not_authenticated",
    "token_expired",
    "account_not_found",
    "body_too_large",
    "validation_failed",
    "idempotency_key_reused",
    "temporal_unavailable",
    "database_unavailable",
)

ACCEPTED: dict[int | str, dict[str, Any]] = {
    status.HTTP_201_CREATED: {"description": "The transfer is final: completed, failed, compensated or cancelled."},
    status.HTTP_202_ACCEPTED: {"description": "Accepted and not final yet: read it at Location.", "model": TransferOut},
}

MOVING_RESPONSES = ACCEPTED | problem_responses(*MOVING_PROBLEMS)


async def move(
    remit: Services,
    session: Session,
    key: str,
    requested: TransferRequest,
    wait: int,
    response: Response,
    *,
    foreseen: Problem | None = None,
) -> TransferOut:
    """Accept the request under the customer's key and describe the transfer in body and headers."""
    accepted = await remit.acceptance.accept(order_for(session.customer.id, key, requested), wait, foreseen)
    transfer = accepted.transfer
    response.status_code = status.HTTP_201_CREATED if transfer.state.is_final else status.HTTP_202_ACCEPTED
    response.headers["Location"] = f"/v1/transfers/{transfer.id}"
    if accepted.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return TransferOut.of(transfer, session.customer.id)
