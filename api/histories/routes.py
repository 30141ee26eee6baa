"""The codec endpoint: shows staff, in Temporal's Web UI and CLI, what histories hold encrypted.

Give its address without the last part to the Web UI ("Codec Server") or to `temporal --codec-endpoint`.
"""

from fastapi import APIRouter

from api.histories.models import PayloadBody, PayloadsBody
from api.http.problems import Problem, problem_responses
from api.http.route import CheckedRoute
from api.services import Remit
from api.staff.authorization import READING, Staff
from database.encryption import EncryptionKeyMissing, NotDecryptable

router = APIRouter(prefix="/v1/admin/codec", tags=["admin"], route_class=CheckedRoute)

CODES = (*READING, "invalid_json", "body_too_large", "validation_failed", "payload_not_decryptable")


@router.post(
    "/decode",
    operation_id="admin.codec.decode",
    summary="Decrypt payloads of histories",
    responses=problem_responses(*CODES),
)
async def decode(wanted: PayloadsBody, _: Staff, remit: Remit) -> PayloadsBody:
    """Changes nothing. What is not encrypted comes back as it is."""
    payloads = [each.payload() for each in wanted.payloads]
    try:
        decoded = payloads if remit.codec is None else await remit.codec.decode(payloads)
    except (EncryptionKeyMissing, NotDecryptable):
        raise Problem("payload_not_decryptable") from None
    return PayloadsBody(payloads=[PayloadBody.of(each) for each in decoded])


@router.post(
    "/encode",
    operation_id="admin.codec.encode",
    summary="Encrypt payloads for histories",
    responses=problem_responses(*CODES),
)
async def encode(wanted: PayloadsBody, _: Staff, remit: Remit) -> PayloadsBody:
    """For what an operator types into the Web UI. Without keys the payloads come back as they are."""
    payloads = [each.payload() for each in wanted.payloads]
    encoded = payloads if remit.codec is None else await remit.codec.encode(payloads)
    return PayloadsBody(payloads=[PayloadBody.of(each) for each in encoded])
