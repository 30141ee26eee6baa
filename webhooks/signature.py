"""Signatures of webhooks, as Standard Webhooks defines them; its own package makes them."""

import base64
import secrets
from collections.abc import Sequence
from datetime import datetime

from standardwebhooks import Webhook

_SECRET_BYTES = 32


def new_secret() -> str:
    """A random secret, as it is shown once: `whsec_` and 256 bits in base64."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def signed_headers(event_id: str, body: str, at: datetime, keys: Sequence[str]) -> dict[str, str]:
    """The headers that prove who sends this body. Receivers accept any of the signatures, one for each secret.

    `webhook-id` is the event's id, the same in every attempt: receivers leave out what they have. `at` is in UTC.
    """
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(Webhook(key).sign(event_id, at, body) for key in keys),
    }
