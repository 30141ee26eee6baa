"""Compares each answer of a customer's route with who reads it, and withholds what belongs to somebody else.

SQL filters by owner already. This finds the statement whose filter somebody forgot: it costs a comparison and no query.
"""

import functools
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, get_args

import structlog
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from prometheus_client import Counter

from api.http.problems import Problem
from api.ownership.owned import Answer, Owned, OwnedPage, Ownerless, Reader
from staff.permissions import Actor

log = structlog.get_logger()

WITHHELD = Counter(
    "remit_answers_withheld_total", "Answers that would have shown a customer what belongs to another", ["answer"]
)


@dataclass(eq=False)
class NotYours(Exception):
    """An answer, or a part of it, belongs to somebody else. `not_found` is the problem that says so to the reader."""

    answer: str
    not_found: str


def handle_withheld(app: FastAPI) -> None:
    """Answer with a 404, as if it did not exist."""

    @app.exception_handler(NotYours)
    async def not_yours(_: Request, withheld: NotYours) -> JSONResponse:
        return Problem(withheld.not_found).response()


def check_is_for(reader: Reader, answer: Answer | None) -> None:
    """Raises `NotYours`, counts it and logs it, unless all of the answer may be shown to the reader."""
    if answer is None:
        return
    for part in answer.parts():
        if not part.is_for(reader):
            kind = type(part).__name__
            WITHHELD.labels(kind).inc()
            log.error("withheld what belongs to somebody else", answer=kind, owners=part.owners)
            raise NotYours(kind, part.not_found)


def checked(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """The endpoint, behind the check where it is a customer's. Staff's routes, and those without a caller, stay as is.

    Raises `TypeError` for a customer's route whose answer names no owner: the application does not start with it.
    """
    name = _reader_in(endpoint)
    if name is None or hasattr(endpoint, "is_checked"):
        return endpoint
    _check_answer(endpoint)
    answering: Callable[..., Awaitable[Answer | None]] = endpoint

    @functools.wraps(answering)
    async def check(**values: Any) -> Answer | None:
        answer = await answering(**values)
        check_is_for(values[name], answer)
        return answer

    check.is_checked = True  # type: ignore[attr-defined]  # a route is made again when its router is included
    return check


def sends_parts(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """Of a stream: its answer has no owner, as each part of it is chosen by its reader before it is sent."""
    endpoint.is_checked = True  # type: ignore[attr-defined]
    return endpoint


def _reader_in(endpoint: Callable[..., Any]) -> str | None:
    """The parameter with the caller of a customer's route; None: it has none, or an actor of the staff beside it."""
    parameters = inspect.signature(endpoint).parameters.values()
    kinds = {parameter.name: _kind_of(parameter.annotation) for parameter in parameters}
    if any(issubclass(kind, Actor) for kind in kinds.values()):
        return None
    return next((name for name, kind in kinds.items() if issubclass(kind, Reader)), None)


def _kind_of(annotation: Any) -> type:
    kind = get_args(annotation)[0] if hasattr(annotation, "__metadata__") else annotation
    return kind if isinstance(kind, type) else object


def _check_answer(endpoint: Callable[..., Any]) -> None:
    answer = inspect.signature(endpoint).return_annotation
    if answer is None:
        return
    named = f"{endpoint.__module__}.{endpoint.__name__}"
    if not (isinstance(answer, type) and issubclass(answer, Owned | OwnedPage | Ownerless)):
        raise TypeError(f"{named} answers a customer with {answer}: make it an Owned, OwnedPage or Ownerless")
    if issubclass(answer, OwnedPage):
        (item,) = get_args(answer.model_fields["items"].annotation)
        if not issubclass(item, Owned):
            raise TypeError(f"{named} answers a customer with a list of {item}: make it an Owned")
