"""Encrypts what Temporal keeps of workflows: arguments, answers, failures, summaries and details.

Search attributes stay readable, since Temporal searches by them: states, accounts, amounts, currencies. Workflow IDs
do too: they hold the customer's id and the idempotency key.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from temporalio.api.common.v1 import Payload
from temporalio.converter import DataConverter, DefaultFailureConverterWithEncodedAttributes, PayloadCodec

from workflows.payloads import DATA_CONVERTER

_ENCODING = b"binary/encrypted"
_CONTEXT = "temporal.payload"


class Cipher(Protocol):
    """Encrypts bytes under keys that rotate."""

    def encrypt_bytes(self, data: bytes, context: str) -> bytes:
        """The bytes, encrypted and bound to the context."""
        ...

    def decrypt_bytes(self, encrypted: bytes, context: str) -> bytes:
        """The bytes again. Raises where the key is missing or the text was changed."""
        ...


class EncryptingCodec(PayloadCodec):
    """Encrypts every payload that leaves the process, and decrypts those that are encrypted.

    It passes on a plain payload as it is: an operator may type an update without the codec endpoint, and what Temporal
    kept before there was a key stays readable.
    """

    def __init__(self, cipher: Cipher) -> None:
        self._cipher = cipher

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """One encrypted payload for each."""
        return [self._encrypted(payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """One plain payload for each. Raises where a key is missing: the task is tried again, and nothing is lost."""
        return [self._decrypted(payload) for payload in payloads]

    def _encrypted(self, payload: Payload) -> Payload:
        sealed = self._cipher.encrypt_bytes(payload.SerializeToString(), _CONTEXT)
        return Payload(metadata={"encoding": _ENCODING}, data=sealed)

    def _decrypted(self, payload: Payload) -> Payload:
        if payload.metadata.get("encoding") != _ENCODING:
            return payload
        return Payload.FromString(self._cipher.decrypt_bytes(payload.data, _CONTEXT))


def converter_with(codec: PayloadCodec | None) -> DataConverter:
    """The converter of every client and worker. With a codec, the messages of failures are encrypted as well."""
    if codec is None:
        return DATA_CONVERTER
    return replace(
        DATA_CONVERTER,
        payload_codec=codec,
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )
