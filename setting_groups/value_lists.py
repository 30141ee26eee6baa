"""Settings that take several values, separated by commas, and the checks that they share."""

from ipaddress import ip_network
from typing import Annotated

from pydantic import AfterValidator, SecretStr

from ledger.fingerprints import LEAST_CHARACTERS


def keys_in(given: SecretStr | None) -> list[str]:
    """The keys of a setting that takes several, separated by commas."""
    return [key for part in given.get_secret_value().split(",") if (key := part.strip())] if given else []


def texts_in(given: str | None) -> list[str]:
    """The values of a setting that takes several, separated by commas."""
    return [text for part in (given or "").split(",") if (text := part.strip())]


def _checked_keys(given: SecretStr | None) -> SecretStr | None:
    # The message never repeats a key.
    keys = keys_in(given)
    if any(len(key) < LEAST_CHARACTERS for key in keys):
        raise ValueError(f"each key must have at least {LEAST_CHARACTERS} characters")
    if len(set(keys)) < len(keys):
        raise ValueError("a key is given twice")
    return given if keys else None


def _checked_networks(given: str | None) -> str | None:
    for each in texts_in(given):
        ip_network(each, strict=False)  # its message says what is wrong
    return given


Keys = Annotated[SecretStr | None, AfterValidator(_checked_keys)]
Networks = Annotated[str | None, AfterValidator(_checked_networks)]
