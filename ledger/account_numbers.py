"""Account numbers: what people write down and type to name the account that they pay to.

`RM`, two check digits and twelve random digits, built like an IBAN (ISO 13616): the check digits are those of ISO 7064
MOD 97-10. They find every wrong digit and every two neighbours that were swapped, and 96 of 97 other mistakes. Luhn's
single digit misses `09` for `90` and one in ten of the others. PostgreSQL makes the numbers (`new_account_number`).
"""

import re
from typing import NewType

AccountNumber = NewType("AccountNumber", str)

ACCOUNT_NUMBER = re.compile("RM[0-9]{14}")

# The letters R and M as digits, as in an IBAN: A is 10, Z is 35.
_PREFIX_DIGITS = "2722"
_MODULUS = 97


def is_account_number(text: str) -> bool:
    """Whether it has the form of a number and its check digits are right. It may still be nobody's."""
    if not ACCOUNT_NUMBER.fullmatch(text):
        return False
    return int(text[4:] + _PREFIX_DIGITS + text[2:4]) % _MODULUS == 1


def looks_like_a_number(text: str) -> bool:
    """Whether somebody meant an account number, right or wrong, and no id."""
    return re.fullmatch(r"\s*[Rr][Mm][\s\d]*", text) is not None


def compact(text: str) -> str:
    """The stored form of a number as people write it: without spaces, in capitals."""
    return "".join(text.split()).upper()
