"""Codes of authenticator apps (TOTP, RFC 6238), with pyotp."""

from datetime import datetime

import pyotp

from customers.second_factor.postgres import StepOf

ISSUER = "Remit"

# Clocks of phones: a code of the step before or after is taken as well.
STEPS_AROUND = (0, -1, 1)


def new_secret() -> str:
    """160 random bits in base32, as apps take them."""
    return pyotp.random_base32()


def uri_of(secret: str, email: str) -> str:
    """What an app reads from a QR code."""
    return pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name=ISSUER)


def step_for(typed: str) -> StepOf:
    """Which time step a typed code belongs to. Each step is taken once, so the step matters."""
    code = typed.replace(" ", "")

    def step_of(secret: str, now: datetime) -> int | None:
        totp = pyotp.TOTP(secret)
        step = totp.timecode(now)
        found = [step + n for n in STEPS_AROUND if pyotp.utils.strings_equal(code, totp.generate_otp(step + n))]
        return found[0] if found else None

    return step_of
