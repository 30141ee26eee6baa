"""The request headers `Idempotency-Key`, parsed strictly, and `Prefer`, parsed as RFC 7240 demands."""

import re
from typing import Annotated

from fastapi import Depends, Header, Request, Response

from api.http.problems import Problem

DEFAULT_WAIT_SECONDS = 5


MAX_WAIT_SECONDS = 30


# What a rail moves is the transfer of the account's owner, under a key of theirs that begins so. Whoever could choose
# such a key could keep a rail from taking money out of their account.
RAILS_KEY = "rail/"

_PRINTABLE = re.compile(r"[\x20-\x7e]{1,255}")


# A string of RFC 9651, section 3.3.3: only quotes and backslashes are escaped.
_QUOTED = re.compile(r'"((?:[^"\\]|\\["\\])*)"')


_ESCAPED = re.compile(r'\\(["\\])')


_WAIT = re.compile(r'\s*wait\s*=\s*("?)([0-9]{1,1000})\1\s*', re.IGNORECASE)


# The text between commas or semicolons outside quoted strings. An unclosed string extends to the end.
_PREFERENCE = re.compile(r'(?:[^",]|"(?:[^"\\]|\\.)*"?)+')


_PART = re.compile(r'(?:[^";]|"(?:[^"\\]|\\.)*"?)+')


async def idempotency_key(
    request: Request,
    _documented: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            description="Names this movement of money: 1 to 255 printable ASCII characters, bare or as a quoted "
            "string. A repeat with this key always returns the same transfer; another request with it is "
            "refused.",
            examples=["3f0c5a6e-pay-rent-november"],
        ),
    ] = None,
) -> str:
    """The customer's key, without quotes. Raises a problem where it is missing or not valid."""
    key = _key_in(request)
    if key is None:
        raise Problem("idempotency_key_missing")
    return key


def optional_idempotency_key(
    request: Request,
    _documented: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            description="Optional. A repeat by the same person with the same key gets the first answer, and nothing "
            "happens twice. The key is refused for another request.",
            examples=["ticket-4711-give-back"],
        ),
    ] = None,
) -> str | None:
    """The key of a request that moves no money of its own, without quotes. None: every request is an act of its own."""
    return _key_in(request)


def _key_in(request: Request) -> str | None:
    sent = request.headers.getlist("idempotency-key")
    if not sent or not sent[0]:
        return None
    key = sent[0]
    if quoted := _QUOTED.fullmatch(key):
        key = _ESCAPED.sub(r"\1", quoted[1])
    if len(sent) > 1 or not _PRINTABLE.fullmatch(key):
        raise Problem("idempotency_key_invalid")
    if key.startswith(RAILS_KEY):
        raise Problem("idempotency_key_invalid", f"Keys that begin with {RAILS_KEY} are those of rails.")
    return key


async def wait_seconds(
    request: Request,
    response: Response,
    _documented: Annotated[
        str | None,
        Header(
            alias="Prefer",
            description="`wait=N`: wait up to N seconds for the final state (RFC 7240). Default 5; more than 30 counts "
            "as 30. `Preference-Applied` says what was applied.",
            examples=["wait=10"],
        ),
    ] = None,
) -> int:
    """How long the client waits for a final state.

    Preferences that this service does not know, and a `wait` that is no number, are ignored, as RFC 7240 demands.
    """
    for preference in _PREFERENCE.findall(", ".join(request.headers.getlist("prefer"))):
        stated = next(iter(_PART.findall(preference)), "")  # without its parameters
        if stated.split("=")[0].strip().lower() != "wait":
            continue
        wait = _WAIT.fullmatch(stated)
        if not wait:
            break  # of two, the first one counts (RFC 7240, section 2)
        applied = min(int(wait[2]), MAX_WAIT_SECONDS)
        response.headers["Preference-Applied"] = f"wait={applied}"
        return applied
    return DEFAULT_WAIT_SECONDS


IdempotencyKey = Annotated[str, Depends(idempotency_key)]


OptionalIdempotencyKey = Annotated[str | None, Depends(optional_idempotency_key)]


WaitSeconds = Annotated[int, Depends(wait_seconds)]
