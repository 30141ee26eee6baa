"""Repeats of requests that change something and move no money: with the same key they get the first answer."""

import hashlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from fastapi import Depends, FastAPI, Request, Response
from pydantic import BaseModel

from api.auth.sessions import CurrentCaller
from api.http.headers import OptionalIdempotencyKey
from api.http.problems import Problem
from api.services import Remit, Services
from database.answers import (
    Keep,
    KeptAnswer,
    KeyedRequest,
    KeyTaken,
    find_answer,
    keep_answer,
    keeps_nothing,
)
from database.connections import Database
from ledger.refusals import ActionRefused

if TYPE_CHECKING:
    from database.connections import Connection

T = TypeVar("T")

REPLAYED = "Idempotent-Replayed"
KEYED = ("idempotency_key_invalid", "idempotency_key_reused")


class AnsweredBefore(Exception):
    """Ends a request with the answer that an earlier, equal one got."""

    def __init__(self, answer: KeptAnswer) -> None:
        super().__init__(answer.request)
        self.answer = answer

    def response(self) -> Response:
        """The same status, body and `Location`, and the header that says so."""
        headers = {REPLAYED: "true"} | ({"Location": self.answer.location} if self.answer.location else {})
        assert self.answer.status is not None, "an attempt is answered by its transfer"
        return Response(self.answer.body, self.answer.status, headers, "application/json")


@dataclass(frozen=True, slots=True)
class Repeats:
    """How one request keeps its answer. Without a key it keeps nothing, and every request is an act of its own.

    `begun` is the attempt that an earlier, equal request has named.
    """

    database: Database
    asked: KeyedRequest | None
    begun: int | None = None

    def keep(
        self,
        shown: Callable[[T], BaseModel],
        status: int | Callable[[T], int] = 200,
        location: Callable[[T], str] | None = None,
    ) -> Keep[T]:
        """What the act calls with its result, inside its transaction."""
        asked = self.asked
        if asked is None:
            return keeps_nothing

        async def kept(connection: "Connection", result: T) -> None:
            answer = KeptAnswer(
                asked.request,
                status=status if isinstance(status, int) else status(result),
                location=location(result) if location else None,
                body=shown(result).model_dump_json(),
            )
            await keep_answer(connection, asked, answer)

        return kept

    async def name_attempt(self, attempt: int) -> None:
        """Use the key up for this attempt, before it begins: a repeat begins the same one, and no other."""
        if self.asked is None or self.begun is not None:
            return
        try:
            async with self.database.connection() as connection:
                await keep_answer(connection, self.asked, KeptAnswer(self.asked.request, attempt=attempt))
        except KeyTaken:
            known = await _known(self.database, self.asked)
            if known is None or known.attempt != attempt:
                # An equal request has named an attempt that is over by now: the next repeat finds it.
                raise Problem("too_busy") from None


async def repeats(
    request: Request, session: CurrentCaller, remit: Remit, key: OptionalIdempotencyKey
) -> AsyncIterator[Repeats]:
    """Ends the request here if an equal one was answered. Raises a problem (422) if the key was used for another.

    One that is refused because an equal one was first by a moment gets that one's answer, too.
    """
    if key is None:
        yield Repeats(remit.database, None)
        return
    asked = KeyedRequest(session.customer.id, key, await _digest(request, remit.onboarding.blinded))
    known = await _answered(remit.database, asked)
    try:
        yield Repeats(remit.database, asked, known.attempt if known else None)
    except (Problem, ActionRefused):
        await _answered(remit.database, asked)
        raise


KeptAnswers = Annotated[Repeats, Depends(repeats)]


def handle_repeats(app: FastAPI) -> None:
    """Answer repeats, also those that come at the same time as the first request."""

    @app.exception_handler(AnsweredBefore)
    async def answered_before(_: Request, repeat: AnsweredBefore) -> Response:
        return repeat.response()

    @app.exception_handler(KeyTaken)
    async def key_taken(request: Request, taken: KeyTaken) -> Response:
        services: Services = request.app.state.remit
        try:
            known = await _known(services.database, taken.asked)
        except Problem as problem:
            return problem.response()
        if known is None or known.status is None:  # another retry has named its attempt this moment
            return Problem("too_busy").response()
        return AnsweredBefore(known).response()


async def _answered(database: Database, asked: KeyedRequest) -> KeptAnswer | None:
    """What the key was used for, unless that has an answer: raises `AnsweredBefore`."""
    known = await _known(database, asked)
    if known is not None and known.status is not None:
        raise AnsweredBefore(known)
    return known


async def _known(database: Database, asked: KeyedRequest) -> KeptAnswer | None:
    try:
        async with database.connection() as connection:
            known = await find_answer(connection, asked)
    except KeyTaken:
        raise Problem("idempotency_key_reused") from None
    if known is not None and known.request != asked.request:
        raise Problem("idempotency_key_reused")
    return known


async def _digest(request: Request, blinded: Callable[[str], str]) -> str:
    """SHA-256 over method, path and the body as canonical JSON: spaces and the order of fields do not matter.

    The digest is kept. So few numbers of documents exist that a plain digest of one would tell it: it is blinded first.
    """
    body = await request.body()
    with suppress(ValueError, RecursionError):  # no body, or one that the route does not read
        sent = json.loads(body, object_hook=lambda part: _without_number(part, blinded))
        body = json.dumps(sent, sort_keys=True, separators=(",", ":")).encode()
    return hashlib.sha256(f"{request.method} {request.url.path}\n".encode() + body).hexdigest()


def _without_number(part: dict[str, Any], blinded: Callable[[str], str]) -> dict[str, Any]:
    """An object of the body, with the number of a document blinded, wherever in the body it is."""
    number = part.get("number")
    return part | {"number": blinded(number)} if isinstance(number, str) else part
