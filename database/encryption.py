"""Encrypts what a column must not show in the clear: AES-256-GCM (NIST SP 800-38D) under keys that rotate.

A text names the key that encrypted it, so a former key still decrypts what it encrypted. It is bound to a `context`,
for example the column and the row's id: copied into another row, it does not decrypt there.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Callable, Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import Table, bindparam, select, update

from database.connections import Database
from database.statements import execute, fetch

_NONCE_BYTES = 12
_KEY_BYTES = 32
_NAME_LENGTH = 8
_LABEL = b"remit encryption 1"

# So many are encrypted in one transaction.
BATCH = 500


class EncryptionKeyMissing(Exception):
    """The process does not have the key that a text was encrypted with, or has none at all."""


class NotDecryptable(Exception):
    """The text is no encrypted text, was changed, or belongs to another context."""


class Encryption:
    """The first key encrypts, every key decrypts. Two encryptions of one text differ.

    Give each text of a table a context of its own. With one key, at most 2^32 texts keep AES-GCM's promise.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = {_name_of(key): AESGCM(_derived(key)) for key in keys}
        self._current = next(iter(self._keys), None)
        self._blinding = _derived(keys[0], b" blinding") if keys else None

    @property
    def available(self) -> bool:
        """Whether there is a key to encrypt with."""
        return self._current is not None

    def encrypt(self, text: str, context: str) -> str:
        """The text as `key.ciphertext`, both printable. Raises `EncryptionKeyMissing` without any key."""
        name, sealed = self._sealed(text.encode(), context)
        return f"{name}.{base64.urlsafe_b64encode(sealed).decode()}"

    def decrypt(self, encrypted: str, context: str) -> str:
        """The text. Raises `EncryptionKeyMissing` for another key's, and `NotDecryptable` for what was changed."""
        name, _, body = encrypted.partition(".")
        self._check_known(name)
        try:
            return self._opened(name, base64.b64decode(body, altchars=b"-_", validate=True), context).decode()
        except (binascii.Error, ValueError) as error:
            raise NotDecryptable(f"a text of {context} does not decrypt") from error

    def encrypt_bytes(self, data: bytes, context: str) -> bytes:
        """The same for bytes: the key's name, then the ciphertext."""
        name, sealed = self._sealed(data, context)
        return name.encode() + sealed

    def decrypt_bytes(self, encrypted: bytes, context: str) -> bytes:
        """The bytes. Raises like `decrypt`."""
        name = encrypted[:_NAME_LENGTH].decode(errors="replace")
        return self._opened(name, encrypted[_NAME_LENGTH:], context)

    def blinded(self, text: str) -> str:
        """A digest from which nobody without the key finds the text, however few texts there are (HMAC-SHA-256).

        Equal texts have equal digests, until another key encrypts. Raises `EncryptionKeyMissing` without any key.
        """
        if self._blinding is None:
            raise EncryptionKeyMissing("no encryption key is set")
        return hmac.digest(self._blinding, text.encode(), "sha256").hex()

    def is_current(self, encrypted: str) -> bool:
        """Whether the present key encrypted it. If not, encrypt it anew before its key goes."""
        return encrypted.partition(".")[0] == self._current

    def _sealed(self, data: bytes, context: str) -> tuple[str, bytes]:
        """The name of the key that encrypted it, and the nonce with the ciphertext."""
        if self._current is None:
            raise EncryptionKeyMissing("no encryption key is set")
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return self._current, nonce + self._keys[self._current].encrypt(nonce, data, context.encode())

    def _opened(self, name: str, sealed: bytes, context: str) -> bytes:
        self._check_known(name)
        try:
            return self._keys[name].decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], context.encode())
        except (InvalidTag, ValueError) as error:
            raise NotDecryptable(f"a text of {context} does not decrypt") from error

    def _check_known(self, name: str) -> None:
        if name not in self._keys:
            raise EncryptionKeyMissing(f"no key has the name {name[:_NAME_LENGTH]!r}")


async def encrypt_anew(
    database: Database, encryption: Encryption, table: Table, column: str, context: Callable[[str], str]
) -> int:
    """Encrypt every text of this column with the newest key. Returns how many were not. Safe to repeat, at any time.

    `context` is what the text of a row with this primary key is bound to. Raises `EncryptionKeyMissing`,
    `NotDecryptable` and `Unavailable`; what was encrypted until then stays so.
    """
    (key,) = table.primary_key.columns
    # In the order of the keys, so that each batch goes on behind the one before.
    page = (
        select(key.label("id"), table.c[column].label("encrypted"))
        .where(key > bindparam("after"))
        .order_by(key)
        .limit(BATCH)
        .with_for_update(key_share=True)
    )
    changed = update(table).where(key == bindparam("row_id")).values({column: bindparam("anew")})
    written, after = 0, ""
    while True:
        async with database.transaction() as connection:
            rows = await fetch(connection, page, after=after)
            for row in rows:
                if encryption.is_current(row["encrypted"]):
                    continue
                bound_to = context(row["id"])
                anew = encryption.encrypt(encryption.decrypt(row["encrypted"], bound_to), bound_to)
                await execute(connection, changed, row_id=row["id"], anew=anew)
                written += 1
        if not rows:
            return written
        after = rows[-1]["id"]


def _name_of(key: str) -> str:
    """Which key it is, without telling anything of it."""
    return hashlib.sha256(_LABEL + b" name " + key.encode()).hexdigest()[:_NAME_LENGTH]


def _derived(key: str, purpose: bytes = b"") -> bytes:
    # The setting is text of any length. It was drawn at random, so one expansion is enough: it is no password.
    return HKDF(hashes.SHA256(), _KEY_BYTES, salt=None, info=_LABEL + purpose).derive(key.encode())
