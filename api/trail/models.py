"""Records of the audit trail as answers."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field

from api.http.fields import ListFilters
from ledger.ids import TransferId
from trail.record import RecordOutcome

Id = Annotated[str, Field(pattern=r"^[a-z0-9_]{1,80}$")]
Kind = Annotated[str, Field(pattern=r"^[a-z_]{1,40}\.[a-z_]{0,60}$")]
RequestId = Annotated[str, Field(pattern=r"^[A-Za-z0-9._~:+/=@-]{1,128}$")]


class AuditRecordFilters(ListFilters):
    """All filters of a request apply together."""

    actor: Id | None = Field(None, description="Who caused it")
    kind: Kind | None = Field(None, description="A kind, or with a dot at its end all that begin so")
    outcome: RecordOutcome | None = None
    subject: Id | None = Field(None, description="What changed, by its id")
    transfer_id: Id | None = Field(None, description="The transfer itself, and what concerns it")
    request_id: RequestId | None = None


class RequestRecordFilters(ListFilters):
    """All filters of a request apply together."""

    actor: Id | None = Field(None, description="Who was signed in")
    method: Annotated[str, Field(pattern=r"^(POST|PATCH|PUT|DELETE|WEBSOCKET)$")] | None = Field(
        None, description="WEBSOCKET: a mutation of GraphQL on an open socket"
    )
    route: Annotated[str, Field(max_length=200, pattern=r"^/[a-z0-9_{}/-]*$")] | None = Field(
        None, description="As the contract names it", examples=["/v1/accounts/{account_id}/deposits"]
    )
    status: Annotated[int, Field(ge=100, le=599)] | None = None
    request_id: RequestId | None = None
    transfer_id: Id | None = Field(None, description="Requests that caused what is on this transfer's trail")


class RequestRecordOut(BaseModel):
    """A request that might have changed something. Secrets, numbers of documents and names are taken out.

    Records of the audit trail with the same `request_id` say what it changed; `caused` are the ids that its path and
    its answer name. `dropped_before` requests before it were not recorded, because too many came at once.
    """

    id: int
    recorded_at: datetime
    received_at: datetime
    request_id: str
    method: str = Field(examples=["POST"])
    route: str = Field(examples=["/v1/transfers"])
    path: str
    status: int = Field(examples=[201])
    milliseconds: int
    actor_id: str | None
    address: str = Field(examples=["192.0.2.7"])
    headers: dict[str, Any] = Field(examples=[{"content-type": "application/json", "authorization": "[redacted]"}])
    body: dict[str, Any] | None = Field(examples=[{"amount": 1000, "currency": "USD"}])
    body_bytes: int
    caused: list[str]
    dropped_before: int


class RequestRecordsOut(BaseModel):
    items: list[RequestRecordOut]
    next_cursor: str | None


class AuditRecordOut(BaseModel):
    """A state change or a refused attempt: who, what, before, after, why, by which request and from where.

    Without an actor, a workflow went on by itself. What a workflow has to carry out is `asked` first; its answer is a
    record of its own.
    """

    id: int
    recorded_at: datetime
    kind: str = Field(examples=["transfer.completed"])
    outcome: RecordOutcome
    subject: str = Field(examples=["trf_k5qd4ahyfpuxzmo2c3r7wn6tbe"])
    actor_id: str | None
    transfer_id: TransferId | None
    workflow_id: str | None
    code: str | None = Field(description="Why it was refused", examples=["insufficient_funds"])
    reason: str | None
    before: dict[str, Any] | None = Field(examples=[{"state": "debited", "attempt": 1}])
    after: dict[str, Any] | None = Field(examples=[{"state": "completed", "attempt": 1, "kind": "transfer"}])
    request_id: str | None
    address: str | None = Field(description="Where the request came from", examples=["192.0.2.7"])


class AuditRecordsOut(BaseModel):
    items: list[AuditRecordOut]
    next_cursor: str | None
