"""Second factors in PostgreSQL: the secret encrypted, each code once, failures counted from all networks together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, Table, Text, text

from customers.second_factor.second_factor import (
    EnrolledAlready,
    FactorRuling,
    NotEnrolling,
    recovery_hash,
)
from customers.sessions.postgres import end_sessions, keep_session
from customers.sign_ins.backoff import Failures, account_wait
from customers.sign_ins.events import AuthEventKind
from customers.sign_ins.networks import Client
from customers.sign_ins.postgres import record_auth_event
from database.connections import Database
from database.encryption import Encryption, encrypt_anew
from database.metadata import METADATA, Timestamp, required
from ledger.ids import CustomerId, SessionId

if TYPE_CHECKING:
    from database.connections import Connection

second_factors = Table(
    "second_factors",
    METADATA,
    Column("customer_id", Text, ForeignKey("customers.id"), primary_key=True),
    required("secret", Text),
    required("last_step", BigInteger, server_default="0"),
    required("failures", Integer, server_default="0"),
    required("created_at", Timestamp, server_default=text("clock_timestamp()")),
    Column("confirmed_at", Timestamp),
    Column("failed_at", Timestamp),
)

recovery_codes = Table(
    "recovery_codes",
    METADATA,
    Column("customer_id", Text, ForeignKey("customers.id"), primary_key=True),
    Column("code_hash", Text, primary_key=True),
    Column("used_at", Timestamp),
)

# Which time step of the secret a typed code belongs to, near the given time; None: to none.
StepOf = Callable[[str, datetime], int | None]

_BEGIN = """
    INSERT INTO second_factors AS known (customer_id, secret) VALUES ($1, $2)
    ON CONFLICT (customer_id) DO UPDATE SET secret = excluded.secret, created_at = clock_timestamp()
        WHERE known.confirmed_at IS NULL
"""

_LOCK = """
    SELECT secret, confirmed_at, last_step, failures, failed_at, clock_timestamp() AS now
    FROM second_factors WHERE customer_id = $1 FOR NO KEY UPDATE
"""

# Whatever locks several rows locks the customer first, then the factor, then the codes.
_LOCK_CUSTOMER = "SELECT FROM customers WHERE id = $1 FOR NO KEY UPDATE"

_CONFIRM = "UPDATE second_factors SET confirmed_at = clock_timestamp(), last_step = $2 WHERE customer_id = $1"
_SHOWN = "UPDATE second_factors SET last_step = $2, failures = 0, failed_at = NULL WHERE customer_id = $1"
_FAILED = """
    UPDATE second_factors SET failures = failures + 1, failed_at = clock_timestamp() WHERE customer_id = $1
"""
_FORGET_CODES = "DELETE FROM recovery_codes WHERE customer_id = $1"
_FORGET = "DELETE FROM second_factors WHERE customer_id = $1"
_ADD_CODES = "INSERT INTO recovery_codes (customer_id, code_hash) SELECT $1, unnest($2::text[])"
_USE_CODE = """
    UPDATE recovery_codes SET used_at = clock_timestamp()
    WHERE customer_id = $1 AND code_hash = $2 AND used_at IS NULL
"""
_HAS_ONE = "SELECT EXISTS (SELECT FROM second_factors WHERE customer_id = $1 AND confirmed_at IS NOT NULL)"


@dataclass(frozen=True, slots=True)
class FactorCheck:
    """What a code came to; for `wait`, how long."""

    ruling: FactorRuling
    wait: timedelta = timedelta(0)


class SecondFactors:
    """All raise `Unavailable` where PostgreSQL gave no answer, and `EncryptionKeyMissing` without the secret's key."""

    def __init__(self, database: Database, encryption: Encryption) -> None:
        self._database = database
        self._encryption = encryption

    async def begin(self, customer_id: CustomerId, secret: str) -> None:
        """Keep a secret that is not yet asked for. A repeat replaces it. Raises `EnrolledAlready`."""
        encrypted = self._encryption.encrypt(secret, _context(customer_id))
        async with self._database.connection() as connection:
            if await connection.execute(_BEGIN, customer_id, encrypted) != "INSERT 0 1":
                raise EnrolledAlready(customer_id)

    async def confirm(
        self, customer_id: CustomerId, session_id: SessionId, step_of: StepOf, codes: Sequence[str], client: Client
    ) -> bool:
        """Ask for the secret from now on, if a first code fits it; else False. Raises `NotEnrolling`.

        All other sessions end, because they showed no second factor; this one has shown it.
        """
        async with self._database.transaction() as connection:
            await connection.execute(_LOCK_CUSTOMER, customer_id)  # an admin's removal has it before the factor, too
            row = await connection.fetchrow(_LOCK, customer_id)
            if row is None or row["confirmed_at"] is not None:
                raise NotEnrolling(customer_id)
            step = step_of(self._secret(customer_id, row["secret"]), row["now"])
            if step is None:
                return False
            await connection.execute(_CONFIRM, customer_id, step)
            await self._replace_codes(connection, customer_id, codes)
            await keep_session(connection, customer_id, session_id, await end_sessions(connection, customer_id))
            kind = AuthEventKind.SECOND_FACTOR_ADDED
            await record_auth_event(connection, kind, client, customer_id, customer_id)
        return True

    async def required_of(self, customer_id: CustomerId) -> bool:
        """Whether this customer shows a second factor when they sign in."""
        async with self._database.connection() as connection:
            return bool(await connection.fetchval(_HAS_ONE, customer_id))

    async def check(self, customer_id: CustomerId, typed: str, step_of: StepOf, client: Client) -> FactorCheck:
        """What this code is: of the app, each time step once, or a recovery code, each once.

        Wrong codes of one customer wait together, from wherever they come: whoever guesses has the password already.
        """
        async with self._database.transaction() as connection:
            row = await connection.fetchrow(_LOCK, customer_id)
            if row is None or row["confirmed_at"] is None:
                return FactorCheck(FactorRuling.NONE)
            if row["failed_at"] is not None:
                known = Failures(row["failures"], row["failed_at"], row["failed_at"])
                wait = account_wait(known, row["now"])
                if wait > timedelta(0):
                    return FactorCheck(FactorRuling.WAIT, wait)
            step = step_of(self._secret(customer_id, row["secret"]), row["now"])
            if step is not None and step > row["last_step"]:
                await connection.execute(_SHOWN, customer_id, step)
                return FactorCheck(FactorRuling.SHOWN)
            if step is None and await connection.execute(_USE_CODE, customer_id, recovery_hash(typed)) == "UPDATE 1":
                await connection.execute(_SHOWN, customer_id, row["last_step"])
                kind = AuthEventKind.RECOVERY_CODE_USED
                await record_auth_event(connection, kind, client, None, customer_id)
                return FactorCheck(FactorRuling.SHOWN)
            await connection.execute(_FAILED, customer_id)
        return FactorCheck(FactorRuling.WRONG)

    async def replace_codes(self, customer_id: CustomerId, codes: Sequence[str], client: Client) -> None:
        """Forget all recovery codes, and take these."""
        async with self._database.transaction() as connection:
            await self._replace_codes(connection, customer_id, codes)
            kind = AuthEventKind.RECOVERY_CODES_REPLACED
            await record_auth_event(connection, kind, client, customer_id, customer_id)

    async def remove(self, customer_id: CustomerId, client: Client) -> None:
        """Ask this customer for no second factor any more. A repeat changes nothing."""
        async with self._database.transaction() as connection:
            await forget_second_factor(connection, customer_id)
            kind = AuthEventKind.SECOND_FACTOR_REMOVED
            await record_auth_event(connection, kind, client, customer_id, customer_id)

    async def encrypt_anew(self) -> int:
        """Encrypt every secret with the newest key. Returns how many were not. Safe to repeat, and at any time."""
        return await encrypt_anew(self._database, self._encryption, second_factors, "secret", _context)

    def _secret(self, customer_id: CustomerId, encrypted: str) -> str:
        return self._encryption.decrypt(encrypted, _context(customer_id))

    @staticmethod
    async def _replace_codes(connection: "Connection", customer_id: CustomerId, codes: Sequence[str]) -> None:
        await connection.execute(_FORGET_CODES, customer_id)
        await connection.execute(_ADD_CODES, customer_id, [recovery_hash(code) for code in codes])


async def forget_second_factor(connection: "Connection", customer_id: CustomerId) -> None:
    """Remove secret and recovery codes. The caller commits it with who did so, and why."""
    await connection.execute(_FORGET, customer_id)
    await connection.execute(_FORGET_CODES, customer_id)


def _context(customer_id: str) -> str:
    return f"second_factors.secret/{customer_id}"
