"""New passwords, and those that are refused because many people use them: the list that zxcvbn keeps."""

from functools import cache
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr
from zxcvbn.frequency_lists import FREQUENCY_LISTS

from api.http.fields import NormalForm


@cache
def _widely_used() -> frozenset[str]:
    return frozenset(FREQUENCY_LISTS["passwords"])


def is_widely_used(password: str) -> bool:
    """Whether the list has the password, in capitals or not. A look-up: to estimate its strength costs much more."""
    return password.lower() in _widely_used()


def _not_widely_used(password: SecretStr) -> SecretStr:
    if is_widely_used(password.get_secret_value()):
        raise ValueError("Many people use this password, so it is among the first that are guessed")
    return password


NewPassword = Annotated[
    SecretStr,
    Field(min_length=8, max_length=128, examples=["correct horse battery"]),
    NormalForm,
    AfterValidator(_not_widely_used),
]
