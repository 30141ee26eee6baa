"""Password hashes, by argon2id."""

import secrets

import anyio
import anyio.to_thread
import argon2

from api.http.problems import Problem
from customers.customer import Customer

# RFC 9106, second recommended option (64 MiB, 3 passes).
PARAMETERS = argon2.profiles.RFC_9106_LOW_MEMORY
_HASHER = argon2.PasswordHasher.from_parameters(PARAMETERS)

# Each hash takes 64 MiB and several cores for a while: more at once would be slower and use up the memory.
_HASHING = anyio.CapacityLimiter(4)
MAX_WAITING = 30


async def hash_password(password: str) -> str:
    """The argon2id hash, with its salt and parameters in the text. Raises the problem `too_busy`."""
    _check_queue()
    return await anyio.to_thread.run_sync(_HASHER.hash, password, limiter=_HASHING)


async def password_matches(customer: Customer | None, password: str) -> bool:
    """Whether the password is this customer's. Takes as long without a customer. Raises the problem `too_busy`."""
    _check_queue()
    stored = customer.password_hash if customer else await _hash_of_nobody()

    def verify() -> bool:
        try:
            return _HASHER.verify(stored, password)
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return False

    return await anyio.to_thread.run_sync(verify, limiter=_HASHING) and customer is not None


def _check_queue() -> None:
    if _HASHING.statistics().tasks_waiting >= MAX_WAITING:
        raise Problem("too_busy")


_nobody: list[str] = []


async def _hash_of_nobody() -> str:
    if not _nobody:
        _nobody.append(await hash_password(secrets.token_hex(16)))
    return _nobody[0]
