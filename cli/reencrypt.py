"""`remit reencrypt`: after a change of the key, everything is encrypted with the new one."""

from cli.console import fail, run_async, say
from cli.database_choice import chosen_database_url
from settings import Settings


def reencrypt() -> None:
    """Encrypt what is kept encrypted with the first of the encryption keys. Safe to repeat, at any time.

    That is the numbers of identity documents, and the secrets of second factors and of webhook endpoints.
    """
    from database.encryption import EncryptionKeyMissing, NotDecryptable

    try:
        numbers, factors, endpoints = run_async(_reencrypt(Settings()))
    except (EncryptionKeyMissing, NotDecryptable) as error:
        fail(f"Stopped, and nothing is lost: {error}. REMIT_ENCRYPTION_KEYS needs every key that is in use.")
    say(
        f"{numbers} numbers of documents, {factors} secrets of second factors and {endpoints} secrets of webhook "
        "endpoints were encrypted with the first key. All others were so already."
    )


async def _reencrypt(settings: Settings) -> tuple[int, int, int]:
    from customers.second_factor.postgres import SecondFactors
    from database.connections import Database
    from database.encryption import Encryption
    from devenv.home import Home
    from key_rings import encryption_from
    from onboarding.postgres import Onboarding
    from setting_groups.value_lists import keys_in
    from tiers.postgres.tier_requests import encrypt_numbers_anew
    from webhooks.postgres.endpoints import WebhookEndpoints

    encryption = encryption_from(settings)
    if not keys_in(settings.encryption_keys) and settings.database_url is None:
        home = Home(settings.home)
        encryption = Encryption([home.encryption_key(), home.fingerprint_key()])
    async with (
        chosen_database_url(settings) as url,
        Database(url, connections=1, application_name="remit-reencrypt") as database,
    ):
        await database.ping()
        numbers = await Onboarding(database, encryption).encrypt_anew()
        numbers += await encrypt_numbers_anew(database, encryption)
        factors = await SecondFactors(database, encryption).encrypt_anew()
        return numbers, factors, await WebhookEndpoints(database, encryption).encrypt_anew()
