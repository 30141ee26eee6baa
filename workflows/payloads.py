"""How arguments and answers become Temporal's payloads: the same JSON as the SDK's own converter writes and reads.

The SDK resolves a dataclass's type hints again for every value, which was a tenth of the CPU time of a transfer. Here
each type is resolved once. Either converter reads what the other one wrote, so histories and clients need not agree.
"""

import dataclasses
import types
import typing
from collections.abc import Callable, Sequence
from enum import StrEnum
from functools import lru_cache, partial
from typing import Any

import orjson
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue
from temporalio.converter import DataConverter, DefaultPayloadConverter, PayloadConverter, value_to_type

Reader = Callable[[Any], Any]

_JSON = b"json/plain"
_SDK = DefaultPayloadConverter()
# More types than any worker has. Bounded, because the workflow sandbox imports its own copies of them.
_TYPES = 512


class CachedTypesPayloadConverter(PayloadConverter):
    """JSON for dataclasses, text, numbers and collections. The SDK's converter does the rest."""

    def to_payloads(self, values: Sequence[Any]) -> list[Payload]:
        """One payload for each value."""
        return [_to_payload(value) for value in values]

    def from_payloads(self, payloads: Sequence[Payload], type_hints: list[type] | None = None) -> list[Any]:
        """One value for each payload. Raises `TypeError` or `ValueError` if a payload holds no value of its type."""
        hints: Sequence[Any] = type_hints or ()
        return [
            _from_payload(payload, hints[index] if index < len(hints) else Any)
            for index, payload in enumerate(payloads)
        ]


DATA_CONVERTER = DataConverter(payload_converter_class=CachedTypesPayloadConverter)


def _to_payload(value: Any) -> Payload:
    if dataclasses.is_dataclass(value) or isinstance(value, str | int | list | dict):
        try:
            payload = Payload(data=orjson.dumps(value))
        except TypeError:
            pass  # half of a surrogate pair, an integer of more than 64 bits, a key that is not text
        else:
            payload.metadata["encoding"] = _JSON  # as an argument it would cost more than the JSON
            return payload
    return _SDK.to_payloads([value])[0]


def _from_payload(payload: Payload, hint: Any) -> Any:
    if hint is RawValue or payload.metadata.get("encoding") != _JSON:
        return _SDK.from_payloads([payload], [hint])[0]
    try:
        found = orjson.loads(payload.data)
    except orjson.JSONDecodeError:
        return _SDK.from_payloads([payload], [hint])[0]  # Python's own parser takes half of a surrogate pair
    return _reader(hint)(found)


@lru_cache(maxsize=_TYPES)
def _reader(hint: Any) -> Reader:
    """A function that makes a value of this type from parsed JSON."""
    if supertype := getattr(hint, "__supertype__", None):
        return _reader(supertype)
    if typing.get_origin(hint) is list:
        (item,) = typing.get_args(hint)
        return partial(_list, _reader(item))
    # `X | None` is of the first kind for a class, and of the second one for a `NewType`.
    if typing.get_origin(hint) in (types.UnionType, typing.Union) and typing.get_args(hint)[1:] == (types.NoneType,):
        return partial(_optional, _reader(typing.get_args(hint)[0]))
    return _class_reader(hint) if isinstance(hint, type) else partial(value_to_type, hint)


def _class_reader(hint: type) -> Reader:
    if hint in {str, bool}:
        return partial(_checked, hint)
    if issubclass(hint, StrEnum):
        return hint
    if dataclasses.is_dataclass(hint):
        return partial(_build, hint, _fields(hint))
    return partial(value_to_type, hint)


def _fields(dataclass: type) -> tuple[tuple[str, Reader], ...]:
    hints = typing.get_type_hints(dataclass)
    return tuple((field.name, _reader(hints[field.name])) for field in dataclasses.fields(dataclass))


def _build(dataclass: type, fields: tuple[tuple[str, Reader], ...], value: Any) -> Any:
    """A missing field takes its default and an unknown one is ignored, so that a release may add fields."""
    if not isinstance(value, dict):
        raise TypeError(f"A {dataclass.__name__} is a JSON object, not {type(value).__name__}.")
    return dataclass(**{name: read(value[name]) for name, read in fields if name in value})


def _checked(kind: type, value: Any) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"Expected {kind.__name__}, not {type(value).__name__}.")
    return value


def _optional(read: Reader, value: Any) -> Any:
    return None if value is None else read(value)


def _list(read: Reader, value: Any) -> Any:
    if not isinstance(value, list):
        raise TypeError(f"Expected a list, not {type(value).__name__}.")
    return [read(item) for item in value]
