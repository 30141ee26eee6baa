"""`remit reencrypt`: after it, nothing needs the key of before."""

from datetime import timedelta

import pytest

from customers.postgres import Customers
from customers.second_factor.postgres import SecondFactors
from customers.sign_ins.networks import client_at
from database.connections import Database
from database.encryption import Encryption, EncryptionKeyMissing
from ledger.ids import SessionId
from onboarding.postgres import Onboarding
from tests.cli.remit import remit
from tests.orders import ENCRYPTION, ENCRYPTION_KEY, holder
from tiers.postgres.tier_requests import TierRequests, encrypt_numbers_anew
from tiers.tier_request import TierTerms
from webhooks.postgres.endpoints import WebhookEndpoints

pytestmark = pytest.mark.system

NEW_KEY = "the key of the tests after the rotation"
NUMBER, SECRET = "98765432101", "JBSWY3DPEHPK3PXP"
CLIENT = client_at("203.0.113.7")
TERMS = TierTerms(3_600, four_eyes_from_tier=None)


async def test_after_a_rotation_numbers_and_second_factors_need_the_new_key_alone(
    database_url: str, database: Database, customers: Customers
) -> None:
    ada = await holder(customers)
    factors, requests = SecondFactors(database, ENCRYPTION), TierRequests(database, ENCRYPTION, TERMS, timedelta(0))
    await factors.begin(ada.id, SECRET)
    assert await factors.confirm(ada.id, SessionId("ses_none"), lambda secret, _: len(secret), [], CLIENT)
    closed = await requests.open(ada.id, ada.account_id, 2, "BVN", NUMBER)
    assert closed is not None
    await requests.expire(closed.id)
    request = await requests.open(ada.id, ada.account_id, 2, "BVN", NUMBER)
    assert request is not None

    endpoint, _ = await WebhookEndpoints(database, ENCRYPTION).create(ada.id, "https://example.com/", [])

    new = Encryption([NEW_KEY])
    endpoints = WebhookEndpoints(database, new)
    factors, requests = SecondFactors(database, new), TierRequests(database, new, TERMS, timedelta(0))
    onboarding = Onboarding(database, new)
    with pytest.raises(EncryptionKeyMissing):
        await endpoints.encrypt_anew()
    for anew in (onboarding.encrypt_anew(), factors.encrypt_anew(), encrypt_numbers_anew(database, new)):
        with pytest.raises(EncryptionKeyMissing):
            await anew

    keys = f"{NEW_KEY},{ENCRYPTION_KEY}"
    status, _, output = await remit("reencrypt", REMIT_DATABASE_URL=database_url, REMIT_ENCRYPTION_KEYS=keys)
    assert (status, output[0][:93]) == (
        0,
        "3 numbers of documents, 1 secrets of second factors and 1 secrets of webhook endpoints were e",
    )
    for anew in (onboarding.encrypt_anew(), factors.encrypt_anew(), encrypt_numbers_anew(database, new)):
        assert await anew == 0
    assert (await endpoints.rotate_secret(ada.id, endpoint.id))[0].id == endpoint.id
    inquiry = await requests.inquiry(request.id)
    assert inquiry is not None
    read = [inquiry.number]
    await factors.check(ada.id, "any", lambda secret, _: read.append(secret), CLIENT)
    assert read == [NUMBER, SECRET]
