"""Identifiers. Each carries its kind, so that an id in a log or a support ticket says what it names."""

import base64
import hashlib
import re
import secrets
from typing import NewType

CustomerId = NewType("CustomerId", str)
AccountId = NewType("AccountId", str)
TransferId = NewType("TransferId", str)
PostingId = NewType("PostingId", str)
ActionId = NewType("ActionId", str)
DisputeId = NewType("DisputeId", str)
TierRequestId = NewType("TierRequestId", str)
AuthEventId = NewType("AuthEventId", str)
CaseId = NewType("CaseId", str)
RuleSetId = NewType("RuleSetId", str)
DocumentId = NewType("DocumentId", str)
SessionId = NewType("SessionId", str)
ApiKeyId = NewType("ApiKeyId", str)
RebuildId = NewType("RebuildId", str)
DeadLetterId = NewType("DeadLetterId", str)
NotificationId = NewType("NotificationId", str)
EndpointId = NewType("EndpointId", str)
BatchId = NewType("BatchId", str)
StandingOrderId = NewType("StandingOrderId", str)

# The two system accounts. They have no row and no balance of their own: per currency, their balance is the sum of
# their postings, so they are never locked and never hot.
WORLD = AccountId("world")
CLEARING = AccountId("clearing")
SYSTEM_ACCOUNTS = frozenset({WORLD, CLEARING})

# Who owns the funding accounts. It has a row, which never changes, and cannot sign in.
SYSTEM_CUSTOMER = CustomerId("cus_systemaaaaaaaaaaaaaaaaaaaa")

_BODY = "[a-z2-7]{26}"
CUSTOMER_ID = re.compile(f"cus_{_BODY}")
ACCOUNT_ID = re.compile(f"acc_{_BODY}")
TRANSFER_ID = re.compile(f"trf_{_BODY}")
DISPUTE_ID = re.compile(f"dsp_{_BODY}")
CASE_ID = re.compile(f"cas_{_BODY}")


def _body(bits: bytes) -> str:
    """128 bits as 26 lower-case characters of base32 (RFC 4648)."""
    return base64.b32encode(bits).decode().rstrip("=").lower()


def new_customer_id() -> CustomerId:
    """A random, unguessable id."""
    return CustomerId("cus_" + _body(secrets.token_bytes(16)))


def new_account_id() -> AccountId:
    """A random, unguessable id."""
    return AccountId("acc_" + _body(secrets.token_bytes(16)))


def new_action_id() -> ActionId:
    """A random, unguessable id."""
    return ActionId("act_" + _body(secrets.token_bytes(16)))


def new_auth_event_id() -> AuthEventId:
    """A random, unguessable id."""
    return AuthEventId("aev_" + _body(secrets.token_bytes(16)))


def new_document_id() -> DocumentId:
    """A random, unguessable id."""
    return DocumentId("doc_" + _body(secrets.token_bytes(16)))


def new_api_key_id() -> ApiKeyId:
    """A random id. It is no secret: the key holds one beside it."""
    return ApiKeyId("key_" + _body(secrets.token_bytes(16)))


def new_session_id() -> SessionId:
    """A random, unguessable id."""
    return SessionId("ses_" + _body(secrets.token_bytes(16)))


def new_tier_request_id() -> TierRequestId:
    """A random, unguessable id."""
    return TierRequestId("trq_" + _body(secrets.token_bytes(16)))


def new_rebuild_id() -> RebuildId:
    """A random, unguessable id."""
    return RebuildId("rbd_" + _body(secrets.token_bytes(16)))


def new_dead_letter_id() -> DeadLetterId:
    """A random, unguessable id."""
    return DeadLetterId("dlt_" + _body(secrets.token_bytes(16)))


def new_endpoint_id() -> EndpointId:
    """A random, unguessable id."""
    return EndpointId("whe_" + _body(secrets.token_bytes(16)))


def new_batch_id() -> BatchId:
    """A random, unguessable id."""
    return BatchId("bat_" + _body(secrets.token_bytes(16)))


def new_standing_order_id() -> StandingOrderId:
    """A random, unguessable id."""
    return StandingOrderId("sto_" + _body(secrets.token_bytes(16)))


def new_dispute_id() -> DisputeId:
    """A random, unguessable id."""
    return DisputeId("dsp_" + _body(secrets.token_bytes(16)))


def new_case_id() -> CaseId:
    """A random, unguessable id."""
    return CaseId("cas_" + _body(secrets.token_bytes(16)))


def rule_set_id_for(contents: str) -> RuleSetId:
    """The one id that these contents can ever have: the same rules give the same id, on any machine."""
    return RuleSetId("rls_" + _body(hashlib.sha256(contents.encode()).digest()[:16]))


def transfer_id_for(owner_id: CustomerId, idempotency_key: str) -> TransferId:
    """The one transfer that this customer's key can ever name: the same pair gives the same id, on any machine."""
    digest = hashlib.sha256(f"{owner_id}\0{idempotency_key}".encode()).digest()
    return TransferId("trf_" + _body(digest[:16]))


def posting_id(transfer_id: TransferId, attempt: int, leg: str) -> PostingId:
    """The one posting that this step of this attempt can ever make. PostgreSQL derives the same text."""
    return PostingId(f"pst_{transfer_id.removeprefix('trf_')}_{attempt}_{leg}")
