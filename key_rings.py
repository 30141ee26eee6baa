"""What signs, checks and encrypts with the keys that the settings name."""

from database.encryption import Encryption
from database.trail.signatures import Signatures
from ledger.fingerprints import Fingerprints
from setting_groups.value_lists import keys_in
from settings import Settings


def fingerprints_from(settings: Settings) -> Fingerprints:
    """What makes and checks the fingerprints of orders, with the keys that the settings name."""
    assert settings.fingerprint_keys is not None, "the command line has checked it"
    return Fingerprints(keys_in(settings.fingerprint_keys), keys_in(settings.retired_fingerprint_keys))


def encryption_from(settings: Settings) -> Encryption:
    """What encrypts secrets in the database, with the keys that the settings name.

    The keys of fingerprints stand behind them, for other values: without a key for encryption the first of them
    encrypts, and what it has encrypted stays readable after there is one.
    """
    others = (*keys_in(settings.fingerprint_keys), *keys_in(settings.retired_fingerprint_keys))
    return Encryption([*keys_in(settings.encryption_keys), *others])


def signatures_from(settings: Settings) -> Signatures:
    """What signs and checks the audit trail: the keys that the settings name for it, else those of fingerprints."""
    own = keys_in(settings.audit_keys)
    others = (*keys_in(settings.fingerprint_keys), *keys_in(settings.retired_fingerprint_keys))
    return Signatures([*own, *others])
