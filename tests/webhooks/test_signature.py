from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from webhooks.signature import new_secret, signed_headers

BODY = '{"type":"transfer.completed","data":{"name":"Adé"}}'


def test_a_receiver_with_any_of_the_secrets_verifies_a_webhook() -> None:
    new, former = new_secret(), new_secret()
    headers = signed_headers("evt_1", BODY, datetime.now(UTC), (new, former))
    for secret in (new, former):
        assert Webhook(secret).verify(BODY, headers)["type"] == "transfer.completed"
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(BODY, headers)


def test_a_webhook_that_was_changed_or_is_old_does_not_verify() -> None:
    secret, now = new_secret(), datetime.now(UTC)
    headers = signed_headers("evt_1", BODY, now, (secret,))
    old = signed_headers("evt_1", BODY, now - timedelta(minutes=6), (secret,))
    for body, changed in (
        (BODY.replace("completed", "failed"), headers),
        (BODY, headers | {"webhook-id": "evt_2"}),
        (BODY, headers | {"webhook-timestamp": str(int(now.timestamp()) + 1)}),
        (BODY, old),
    ):
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(body, changed)


def test_a_secret_is_256_random_bits() -> None:
    secrets = {new_secret() for _ in range(100)}
    assert len(secrets) == 100
    assert all(secret.startswith("whsec_") and len(secret) == 50 for secret in secrets)
