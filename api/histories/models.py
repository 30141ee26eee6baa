"""Payloads as Temporal's Web UI and CLI send them to a codec endpoint: the JSON form of Temporal's own messages."""

import base64
import binascii
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from temporalio.api.common.v1 import Payload

# A page of a history is one call; its body is limited as every other.
MOST_PAYLOADS = 1_000


def _checked_encoding(text: str) -> str:
    try:
        base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError("must be base64") from None
    return text


Base64 = Annotated[str, AfterValidator(_checked_encoding)]


class PayloadBody(BaseModel):
    """One value: its metadata and its bytes, both in base64."""

    # The Web UI may send more than we read.
    model_config = ConfigDict(extra="ignore")

    metadata: dict[str, Base64] = Field(default_factory=dict, examples=[{"encoding": "anNvbi9wbGFpbg=="}])
    data: Base64 = Field("", examples=["IlJlbnQi"])

    def payload(self) -> Payload:
        """The same as Temporal's message."""
        metadata = {name: base64.b64decode(value) for name, value in self.metadata.items()}
        return Payload(metadata=metadata, data=base64.b64decode(self.data))

    @classmethod
    def of(cls, payload: Payload) -> "PayloadBody":
        return cls(
            metadata={name: base64.b64encode(value).decode() for name, value in payload.metadata.items()},
            data=base64.b64encode(payload.data).decode(),
        )


class PayloadsBody(BaseModel):
    """Values, in their order; as many come back."""

    model_config = ConfigDict(extra="ignore")

    payloads: list[PayloadBody] = Field(max_length=MOST_PAYLOADS)
