"""`remit reencrypt`: after it, nothing needs the key of before."""

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

NEW_KEY = "the key after the rotation, long enough"
SECRET = "JBSWY3DPEHPK3PXP"
CLIENT = client_at("203.0.113.7")


async def test_after_a_rotation_numbers_and_second_factors_need_the_new_key_alone(
    database_url: str, database: Database, customers: Customers
) -> None:
    ada = (await holder(customers)).id
    before = SecondFactors(database, ENCRYPTION)
    await before.begin(ada, SECRET)
    assert await before.confirm(ada, SessionId("ses_none"), lambda secret, _: len(secret), [], CLIENT)
    new = Encryption([NEW_KEY])
    onboarding, factors = Onboarding(database, new), SecondFactors(database, new)
    for anew in (onboarding.encrypt_anew, factors.encrypt_anew):
        with pytest.raises(EncryptionKeyMissing):
            await anew()

    keys = f"{NEW_KEY},{ENCRYPTION_KEY}"
    status, _, said = await remit("reencrypt", REMIT_DATABASE_URL=database_url, REMIT_ENCRYPTION_KEYS=keys)
    assert (status, said[0][:64]) == (0, "1 numbers of documents and 1 secrets of second factors were encr")
    assert [await onboarding.encrypt_anew(), await factors.encrypt_anew()] == [0, 0]
    read: list[str] = []
    await factors.check(ada, "any", lambda secret, _: read.append(secret), CLIENT)
    assert read == [SECRET]
