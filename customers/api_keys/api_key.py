"""API keys of integrators: what they are made of, and what they may do. Pure: no I/O, no clock."""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from ledger.ids import ApiKeyId, CustomerId, new_api_key_id


class Scope(StrEnum):
    """What a key may do. No scope reaches passwords, sessions, keys or the routes for staff."""

    ACCOUNTS_READ = "accounts:read"
    ACCOUNTS_WRITE = "accounts:write"
    TRANSFERS_READ = "transfers:read"
    TRANSFERS_WRITE = "transfers:write"
    DISPUTES_READ = "disputes:read"
    DISPUTES_WRITE = "disputes:write"
    STANDING_ORDERS_READ = "standing_orders:read"
    STANDING_ORDERS_WRITE = "standing_orders:write"
    NOTIFICATIONS_READ = "notifications:read"
    NOTIFICATIONS_WRITE = "notifications:write"
    EVENTS_READ = "events:read"
    WEBHOOKS_READ = "webhooks:read"
    WEBHOOKS_WRITE = "webhooks:write"
    RAILS_WRITE = "rails:write"  # keys of admins only


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is listed. Its secret is shown once and kept as a hash. `last_used_at` is exact to a minute."""

    id: ApiKeyId
    customer_id: CustomerId
    name: str
    scopes: list[str]
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


# What it begins with says what it is, to people and to scanners of leaked secrets.
PREFIX = "rmk_"

_KEY = re.compile(r"rmk_([a-z2-7]{26})_([A-Za-z0-9_-]{43})")


def new_key() -> tuple[ApiKeyId, str]:
    """An id, and the key that is shown once: the id and 256 random bits."""
    id_ = new_api_key_id()
    return id_, f"{PREFIX}{id_.removeprefix('key_')}_{secrets.token_urlsafe(32)}"


def id_in(key: str) -> ApiKeyId | None:
    """Which key it claims to be; None: it is none of ours."""
    match = _KEY.fullmatch(key)
    return ApiKeyId(f"key_{match[1]}") if match else None


def hash_of(key: str) -> str:
    """What is kept of a key. Nobody guesses 256 random bits, so a fast hash is as good as a slow one."""
    return hashlib.sha256(key.encode()).hexdigest()


def matches(key: str, kept: str) -> bool:
    """Whether this is the key of the hash, in a time that tells nothing about it."""
    return hmac.compare_digest(hash_of(key), kept)
