"""Password hashes, by argon2id: few at once, in threads that give way to everything else."""

import asyncio
import os
import secrets
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import argon2

from api.auth.hash_queue import HashQueue
from customers.customer import Customer
from customers.sign_ins.networks import Client

# RFC 9106, second recommended option (64 MiB, 3 passes).
PARAMETERS = argon2.profiles.RFC_9106_LOW_MEMORY
_HASHER = argon2.PasswordHasher.from_parameters(PARAMETERS)

# Each hash takes 64 MiB and several cores for a while. Who registers takes no turn from who signs in.
_AT_ONCE = 2
_SIGN_INS = HashQueue(_AT_ONCE)
_REGISTRATIONS = HashQueue(_AT_ONCE)

# On Linux every thread has a priority of its own, and hands it to the threads that argon2 starts.
_NICENESS = 10


def _give_way() -> None:
    """So many people who sign in take the processor from nobody's transfer."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)


_THREADS = ThreadPoolExecutor(2 * _AT_ONCE, thread_name_prefix="argon2", initializer=_give_way)


async def hash_password(password: str, client: Client) -> str:
    """The argon2id hash, with its salt and parameters in the text. Raises the problem `too_busy`."""
    async with _REGISTRATIONS.turn(client.site):
        return await asyncio.get_running_loop().run_in_executor(_THREADS, _HASHER.hash, password)


async def password_matches(customer: Customer | None, password: str, client: Client) -> bool:
    """Whether the password is this customer's. Takes as long without a customer. Raises the problem `too_busy`."""

    def verify() -> bool:
        try:
            return _HASHER.verify(customer.password_hash if customer else _hash_of_nobody(), password)
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return False

    async with _SIGN_INS.turn(client.site):
        matches = await asyncio.get_running_loop().run_in_executor(_THREADS, verify)
    return matches and customer is not None


_nobody: list[str] = []


def _hash_of_nobody() -> str:
    if not _nobody:
        _nobody.append(_HASHER.hash(secrets.token_hex(16)))
    return _nobody[0]
