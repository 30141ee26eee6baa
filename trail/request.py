"""What is kept of a request that may change something, without its secrets. Pure: no I/O, no clock."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

# Of a field whose name contains one of these, nothing is kept. New fields with such names are covered at once.
SECRET_PARTS = ("password", "token", "secret", "code", "factor", "number", "key", "payload", "csrf", "credential")
# Of these, what tells equal ones from others: the same digest as in the trail of authentication.
DIGESTED = frozenset({"email"})
PERSONAL = frozenset({"full_name"})

# The headers whose values are kept; of all others, that they were sent.
KEPT_HEADERS = frozenset(
    {"accept", "content-length", "content-type", "idempotency-key", "origin", "prefer", "request-id", "user-agent"}
)

REDACTED = "[redacted]"
UNREADABLE = "[not JSON]"
TOO_LARGE = "[too large]"

MOST_BODY_BYTES = 4_096
MOST_HEADERS = 40
LONGEST_HEADER = 300
LONGEST_PATH = 300


@dataclass(slots=True)
class ReceivedRequest:
    """A request as it was seen, before anything was taken out: in memory only."""

    received_at: datetime
    request_id: str
    method: str
    route: str
    path: str
    status: int
    milliseconds: int
    actor_id: str | None
    address: str
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes
    body_bytes: int
    caused: list[str]
    dropped_before: int = 0


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """A request that might have changed something, as it is kept. It is never edited.

    `caused` are the ids that its path and its answer name; records of the audit trail have its `request_id`.
    """

    id: int
    recorded_at: datetime
    received_at: datetime
    request_id: str
    method: str
    route: str
    path: str
    status: int
    milliseconds: int
    actor_id: str | None
    address: str
    headers: dict[str, Any]
    body: dict[str, Any] | None
    body_bytes: int
    caused: list[str]
    dropped_before: int


def kept_of(received: ReceivedRequest) -> dict[str, Any]:
    """What is written of a request, as JSON: no secret, no number of a document, no address of a person."""
    return {
        "received_at": received.received_at.isoformat(),
        "request_id": received.request_id,
        "method": received.method,
        "route": received.route,
        "path": _printable(received.path)[:LONGEST_PATH],
        "status": received.status,
        "milliseconds": received.milliseconds,
        "actor_id": received.actor_id,
        "address": received.address,
        "headers": kept_headers(received.headers),
        "body": kept_body(received.body, received.body_bytes),
        "body_bytes": received.body_bytes,
        "caused": received.caused,
        "dropped_before": received.dropped_before,
    }


def kept_headers(headers: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    """The headers by name, with the values of those that hold no secret."""
    named = ((_printable(name.decode("latin-1")).lower(), value) for name, value in headers[:MOST_HEADERS])
    return {
        name[:LONGEST_HEADER]: (
            _printable(value.decode("latin-1"))[:LONGEST_HEADER] if name in KEPT_HEADERS else REDACTED
        )
        for name, value in named
    }


def kept_body(body: bytes, body_bytes: int) -> dict[str, Any] | None:
    """The body as an object without its secrets. One that is too large is kept by the names of its fields."""
    if not body_bytes:
        return None
    if body_bytes > len(body):
        return {"body": TOO_LARGE}
    try:
        sent = json.loads(body)
        if not isinstance(sent, dict):
            return {"body": REDACTED}
        kept = _redacted(sent)
        size = len(json.dumps(kept, allow_nan=False))  # PostgreSQL takes no number that is none or without end
    except (ValueError, RecursionError):
        return {"body": UNREADABLE}
    if size > MOST_BODY_BYTES:
        names = [_printable(name)[:60] for name in list(sent)[:MOST_HEADERS]]
        return {"body": TOO_LARGE, "fields": names}
    return kept


def _redacted(part: Mapping[str, Any]) -> dict[str, Any]:
    return {_printable(name): _value(name.lower(), value) for name, value in part.items()}


def _value(name: str, value: Any) -> Any:
    if name in PERSONAL or any(secret in name for secret in SECRET_PARTS):
        return REDACTED
    if name in DIGESTED and isinstance(value, str):
        return f"sha256:{hashlib.sha256(value.strip().lower().encode('utf-8', 'replace')).hexdigest()}"
    return _kept(value)


def _kept(value: Any) -> Any:
    if isinstance(value, dict):
        return _redacted(value)
    if isinstance(value, list):
        return [_kept(each) for each in value]
    return _printable(value) if isinstance(value, str) else value


def _printable(text: str) -> str:
    """Without what PostgreSQL cannot store: the zero character and halves of surrogate pairs."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
