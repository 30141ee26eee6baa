"""Second factors: what showing a code comes to, and how recovery codes look. Pure: no I/O, no clock."""

import hashlib
import secrets
from base64 import b32encode
from enum import StrEnum

RECOVERY_CODES = 10


class FactorRuling(StrEnum):
    """What a code that somebody showed is. `none`: this customer has no second factor. `wait`: it came too early."""

    NONE = "none"
    SHOWN = "shown"
    WRONG = "wrong"
    WAIT = "wait"


class EnrolledAlready(Exception):
    """The customer has a second factor. They remove it before they enrol another."""


class NotEnrolling(Exception):
    """The customer has begun no enrolment, or has completed it."""


def new_recovery_codes() -> list[str]:
    """Codes of 80 random bits each, in groups that people can type."""
    codes = [b32encode(secrets.token_bytes(10)).decode().lower() for _ in range(RECOVERY_CODES)]
    return ["-".join(code[n : n + 4] for n in range(0, 16, 4)) for code in codes]


def recovery_hash(typed: str) -> str:
    """What is kept of a recovery code, however it is typed. It is random, so a fast hash is enough."""
    return hashlib.sha256(typed.replace("-", "").replace(" ", "").lower().encode()).hexdigest()
