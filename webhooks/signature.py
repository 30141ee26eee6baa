"""Signatures of webhooks, as Standard Webhooks defines them; its own package makes them."""

import base64
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta

from standardwebhooks import Webhook

_SECRET_BYTES = 32

# So many former secrets sign at most: each has a signature in a header, and receivers limit its length.
_MOST_FORMER = 20

_SECOND = timedelta(seconds=1)


def new_secret() -> str:
    """A random secret, as it is shown once: `whsec_` and 256 bits in base64."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def signing_secrets(kept: str, former_until: datetime | None, now: datetime) -> tuple[str, ...]:
    """The secrets that sign at this moment, the newest first.

    Kept are the newest one and then its predecessors. Each of those signs until `former_until`, or so many seconds less
    as stand behind its `@`.
    """
    newest, *former = kept.split()
    return (newest, *(secret for secret, left in _lefts(former, former_until, now)))


def rotated(kept: str, former_until: datetime | None, now: datetime, signs_for: timedelta) -> tuple[str, str]:
    """A new secret, and what is to be kept with it when `former_until` becomes `signs_for` from now.

    Whoever was replaced signs until its own end, unless twenty follow before it.
    """
    secret = new_secret()
    newest, *former = kept.split()
    others = [f"{each}@{(signs_for - left) // _SECOND}" for each, left in _lefts(former, former_until, now)]
    return secret, " ".join((secret, newest, *others[: _MOST_FORMER - 1]))


def _lefts(former: Sequence[str], former_until: datetime | None, now: datetime) -> list[tuple[str, timedelta]]:
    """The former secrets that sign still, and for how long."""
    if former_until is None:
        return []
    earlier = (each.partition("@") for each in former)
    lefts = [(secret, former_until - now - timedelta(seconds=int(less or 0))) for secret, _, less in earlier]
    return [(secret, left) for secret, left in lefts if left > timedelta(0)]


def signed_headers(event_id: str, body: str, at: datetime, keys: Sequence[str]) -> dict[str, str]:
    """The headers that prove who sends this body. Receivers accept any of the signatures, one for each secret.

    `webhook-id` is the event's id, the same in every attempt: receivers leave out what they have. `at` is in UTC.
    """
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(Webhook(key).sign(event_id, at, body) for key in keys),
    }
