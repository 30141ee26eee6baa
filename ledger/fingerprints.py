"""Fingerprints of orders: an order moves money only if somebody with the secret made it. Pure: no I/O, no clock.

A fingerprint is `{key}.{digest}`: an HMAC-SHA-256 over the order's contents, and the id of the key that made it. The
books and Temporal hold orders and fingerprints, but no key. So write access to them neither orders a payment nor
redirects one without being noticed. A fingerprint proves where an order comes from; whether a request repeats an
earlier one is decided by the contents themselves (`TransferOrder.repeats_request`), which needs no key.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from ledger.refusals import OrderForged
from ledger.transfers import Transfer, TransferOrder

# As many characters as a secret has at least: 128 bits even where they are hexadecimal digits.
LEAST_CHARACTERS = 32

_KEY_ID_DIGITS = 8
_JSON = json.JSONEncoder(separators=(",", ":"))
_WELL_FORMED = re.compile(f"[0-9a-f]{{{_KEY_ID_DIGITS}}}[.][0-9a-f]{{64}}")


class FingerprintKeyMissing(Exception):
    """The fingerprint was made with a key that this process does not have. In doubt: ask again once it has it."""

    def __init__(self, order: TransferOrder, key_id: str) -> None:
        super().__init__(
            f"The order of transfer {order.transfer_id} was made with the fingerprint key {key_id!r}, which this "
            "process does not have: add it to REMIT_FINGERPRINT_KEYS, or to REMIT_RETIRED_FINGERPRINT_KEYS."
        )


class TransferAltered(Exception):
    """A row of the books is not the order that was accepted. In doubt: the step waits until the row is restored."""

    def __init__(self, order: TransferOrder) -> None:
        super().__init__(
            f"Transfer {order.transfer_id} is not as it was accepted: its fingerprint does not match its contents. No "
            "money moves until its row is restored from a backup."
        )


class Fingerprints:
    """Makes and checks fingerprints. Costs microseconds of CPU, and nothing else."""

    def __init__(self, keys: Sequence[str], retired: Sequence[str] = ()) -> None:
        """The first of `keys` makes new fingerprints, all of them open transfers.

        A `retired` key only proves what it made before: no new transfer is opened with it, so a key that has leaked
        orders nothing any more. Raises `ValueError` for a short key and for two equal ones.
        """
        if not keys:
            raise ValueError("at least one key is needed")
        secrets = [key.encode() for key in (*keys, *retired)]
        if any(len(secret) < LEAST_CHARACTERS for secret in secrets):
            raise ValueError(f"a key has at least {LEAST_CHARACTERS} characters")
        self._secrets: Mapping[str, bytes] = {_key_id(secret): secret for secret in secrets}
        if len(self._secrets) < len(secrets):
            raise ValueError("a key is given twice")
        self._newest = _key_id(secrets[0])
        self._active = frozenset(map(_key_id, secrets[: len(keys)]))

    def signed(self, order: TransferOrder) -> TransferOrder:
        """The same order with its fingerprint."""
        return replace(order, fingerprint=self._made(self._newest, _contents(order)))

    def signed_attempt(self, order: TransferOrder) -> TransferOrder:
        """The same order of a later attempt, with the proof that this attempt was requested of the API."""
        return replace(order, attempt_fingerprint=self._made(self._newest, _attempt(order)))

    def check(self, order: TransferOrder) -> None:
        """Raises `OrderForged` where the order's contents are not what its fingerprint was made from.

        Raises `FingerprintKeyMissing` for one that was made with an unknown key.
        """
        if not self._proves(order, order.fingerprint, _contents(order)):
            raise OrderForged(order.transfer_id)

    def check_attempt(self, order: TransferOrder) -> None:
        """The same for the attempt that the order begins."""
        proof = order.attempt_fingerprint
        if proof is None or not self.may_open(proof) or not self._proves(order, proof, _attempt(order)):
            raise OrderForged(order.transfer_id)

    def check_row(self, transfer: Transfer) -> None:
        """Raises `TransferAltered` where a transfer's row is not the order that was accepted."""
        try:
            self.check(transfer.order)
        except OrderForged:
            raise TransferAltered(transfer.order) from None

    def may_open(self, fingerprint: str) -> bool:
        """Whether its key opens new transfers. One that is retired only proves those that exist."""
        return _key_id_of(fingerprint) in self._active

    def is_of(self, fingerprint: str, order: TransferOrder) -> bool:
        """Whether the fingerprint, which may be made with an older key, is of an order with these contents."""
        return _key_id_of(fingerprint) in self._secrets and self._proves(order, fingerprint, _contents(order))

    def stamp(self, contents: tuple[object, ...]) -> str:
        """The proof that Remit wrote what these contents say: JSON values, the first of which names their kind."""
        return self._made(self._newest, _stamped(contents))

    def is_stamped(self, stamp: str | None, contents: tuple[object, ...]) -> bool:
        """Whether a stamp was made from these contents, with a key that this process has and that is not retired."""
        if stamp is None or not _WELL_FORMED.fullmatch(stamp) or not self.may_open(stamp):
            return False
        return hmac.compare_digest(stamp, self._made(_key_id_of(stamp), _stamped(contents)))

    @property
    def keys_to_retire(self) -> list[str]:
        """The ids of the keys that still open transfers, but make nothing new: one of them may be about to be retired.

        A stamp begins with the id of its key.
        """
        return sorted(self._active - {self._newest})

    def _proves(self, order: TransferOrder, fingerprint: str, text: bytes) -> bool:
        if not _WELL_FORMED.fullmatch(fingerprint):
            return False
        key_id = _key_id_of(fingerprint)
        if key_id not in self._secrets:
            raise FingerprintKeyMissing(order, key_id)
        return hmac.compare_digest(fingerprint, self._made(key_id, text))

    def _made(self, key_id: str, text: bytes) -> str:
        return f"{key_id}.{hmac.digest(self._secrets[key_id], text, 'sha256').hex()}"


def _key_id(secret: bytes) -> str:
    """What names a key in public: no two keys share it, and nobody can compute the key from it."""
    return hashlib.sha256(b"fingerprint key\0" + secret).hexdigest()[:_KEY_ID_DIGITS]


def _key_id_of(fingerprint: str) -> str:
    return fingerprint.partition(".")[0]


def _contents(order: TransferOrder) -> bytes:
    return b"order\0" + _JSON.encode(order.contents).encode()


def _attempt(order: TransferOrder) -> bytes:
    return b"attempt\0" + _JSON.encode((order.transfer_id, order.attempt)).encode()


def _stamped(contents: tuple[object, ...]) -> bytes:
    return b"stamp\0" + _JSON.encode(contents).encode()
