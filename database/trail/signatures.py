"""Signs what others must be able to check: Ed25519 (RFC 8032) under keys that rotate.

Whoever has the public key alone can check a signature and cannot make one.
"""

import hashlib
from collections.abc import Sequence

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_KEY_BYTES = 32
_LABEL = b"remit signatures 1"


class Signatures:
    """The first key signs, all of them check."""

    def __init__(self, keys: Sequence[str]) -> None:
        """Each key is text that was drawn at random; there must be one at least."""
        private = [_derived(key) for key in keys]
        self._keys = {_name_of(key): key for key in private}
        self._signing = private[0]
        self.key = _name_of(self._signing)

    @property
    def public_key(self) -> str:
        """The public key of the key that signs, in hexadecimal."""
        return self._signing.public_key().public_bytes_raw().hex()

    def sign(self, message: bytes) -> bytes:
        """The signature, by the first key. The same message always has the same one."""
        return self._signing.sign(message)

    def objection_to(self, message: bytes, signature: bytes, key: str) -> str | None:
        """Why the key of this name did not sign the message; None: it did."""
        if key not in self._keys:
            return f"its key {key} is not among the keys that this process has"
        try:
            self._keys[key].public_key().verify(signature, message)
        except InvalidSignature:
            return f"its signature is not that of the key {key}"
        return None


def _name_of(key: Ed25519PrivateKey) -> str:
    """The first characters of the SHA-256 of the public key."""
    return hashlib.sha256(key.public_key().public_bytes_raw()).hexdigest()[:8]


def _derived(key: str) -> Ed25519PrivateKey:
    # The setting is text of any length that was drawn at random, so one expansion is enough.
    return Ed25519PrivateKey.from_private_bytes(
        HKDF(hashes.SHA256(), _KEY_BYTES, salt=None, info=_LABEL).derive(key.encode())
    )
