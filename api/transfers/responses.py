"""What every route that moves money shares: accept the request, answer 201 when it is final and 202 when not."""

from typing import Any

from fastapi import Response, status

from api.auth.sessions import Caller
from api.contract.response_headers import LOCATED
from api.http.problems import Problem, problem_responses
from api.services import Services
from api.transfers.acceptance import TransferRequest, order_for
from api.transfers.models import TransferOut
from ledger.transfers import State, Transfer

TRANSFER_PROBLEMS = (
    "invalid_json",
    "idempotency_key_missing",
    "idempotency_key_invalid",
    "not_authenticated",
    "token_expired",
    "account_not_found",
    "body_too_large",
    "validation_failed",
    "idempotency_key_reused",
    "too_many_in_flight",
    "temporal_unavailable",
    "database_unavailable",
)

# What refuses another attempt, whoever requests it.
RETRY_PROBLEMS = (
    "not_retryable",
    "attempts_used_up",
    "reversal_too_large",
    "sandbox_rails_off",
    "transaction_id_reused",
    "transfer_altered",
    "fingerprint_key_missing",
)


def accepted(model: type[TransferOut]) -> dict[int | str, dict[str, Any]]:
    """The two answers to a request that begins a transfer or an attempt."""
    return {
        status.HTTP_201_CREATED: LOCATED
        | {"description": "The transfer is final: completed, failed, compensated or cancelled."},
        status.HTTP_202_ACCEPTED: LOCATED
        | {"description": "Accepted and not final yet: read it at Location.", "model": model},
    }


# When to read a transfer again that is not final. One in review waits for a person.
POLL_SECONDS = 1
REVIEW_POLL_SECONDS = 30

TRANSFER_RESPONSES = accepted(TransferOut) | problem_responses(*TRANSFER_PROBLEMS)


async def move(
    remit: Services,
    session: Caller,
    key: str,
    requested: TransferRequest,
    wait: int,
    response: Response,
    *,
    foreseen: Problem | None = None,
) -> TransferOut:
    """Accept the request under the customer's key and describe the transfer in body and headers."""
    accepted = await remit.acceptance.accept(order_for(session.customer.id, key, requested), wait, foreseen)
    if accepted.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    show_progress(accepted.transfer, response, f"/v1/transfers/{accepted.transfer.id}")
    return TransferOut.of(accepted.transfer, session.customer.id)


def show_progress(transfer: Transfer, response: Response, location: str) -> None:
    """201 for a final transfer; 202 for one under way, with the seconds until it should be read again at `location`."""
    response.headers["Location"] = location
    if transfer.state.is_final:
        response.status_code = status.HTTP_201_CREATED
        return
    response.status_code = status.HTTP_202_ACCEPTED
    in_review = transfer.state is State.IN_REVIEW
    response.headers["Retry-After"] = str(REVIEW_POLL_SECONDS if in_review else POLL_SECONDS)
