"""Dead letters: events that did not arrive, and what staff do about them. Pure: no I/O, no clock."""

import base64
import json
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from ledger.ids import CustomerId, DeadLetterId
from ledger.refusals import ActionRefused

_QUEUE = "queue:"

# Characters of a reason.
MOST_OF_LINE = 500


class LetterState(StrEnum):
    """`dead` until staff replay or discard it, which is final. What dies again is another letter."""

    DEAD = "dead"
    REPLAYED = "replayed"
    DISCARDED = "discarded"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that a receiver did not take, with all that is needed to send it there again.

    `source` says who gave up: `webhooks`, a sink by its name, or `queue:` and the queue of a consumer; `target` where
    it did not arrive, if the source has several places. `event_id` and `type` are None for what was no event.
    """

    id: DeadLetterId
    source: str
    target: str | None
    event_id: str | None
    type: str | None
    reason: str
    attempts: int
    body: dict[str, Any]
    state: LetterState
    died_at: datetime
    ended_by: CustomerId | None
    ended_reason: str | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Undelivered:
    """What becomes a dead letter. `partition_key` and `audience` are those of the event that tells of it.

    Without a partition key the letter's own id is it; without an audience only staff see the event.
    """

    source: str
    reason: str
    body: dict[str, Any]
    attempts: int = 1
    target: str | None = None
    event_id: str | None = None
    type: str | None = None
    partition_key: str | None = None
    audience: Sequence[str] = ()


# Sends letters again to where each died, in the transaction that marks them as replayed. All are of one source. Returns
# the ids of those that it has taken: the place of the others is no more, or has nothing left of them to send.
Replayer = Callable[[Any, Sequence[DeadLetter]], Awaitable[Collection[str]]]


@dataclass(eq=False)
class NoSuchDeadLetter(ActionRefused):
    """No dead letter has this id."""

    code = "dead_letter_not_found"
    letter_id: DeadLetterId

    def __str__(self) -> str:
        return f"There is no dead letter {self.letter_id}."


@dataclass(eq=False)
class DeadLetterEnded(ActionRefused):
    """A dead letter is replayed or discarded once."""

    code = "dead_letter_ended"
    letter: DeadLetter

    def __str__(self) -> str:
        return f"Dead letter {self.letter.id} was {self.letter.state} already."


@dataclass(eq=False)
class DeadLetterUnsendable(ActionRefused):
    """The place where it died is no more, or nothing is left of it that could be sent."""

    code = "dead_letter_unsendable"
    letter_id: DeadLetterId

    def __str__(self) -> str:
        return (
            f"Dead letter {self.letter_id} cannot be sent again: its endpoint was deleted, its sink retired, or its "
            "event is no longer kept. Discard it."
        )


def queue_source(queue: str) -> str:
    """The source of letters that a consumer of this queue left behind."""
    return f"{_QUEUE}{queue}"


def is_queue(source: str) -> bool:
    """Whether letters of this source were left behind by a consumer."""
    return source.startswith(_QUEUE)


def line_of(text: str) -> str:
    """A text as one line that PostgreSQL, a header and a log can keep: without line breaks, zeros, half characters."""
    printable = (each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in " ".join(text.split()))
    return "".join(printable)[:MOST_OF_LINE]


def body_of(message: bytes) -> dict[str, Any]:
    """A message as PostgreSQL can keep it: the JSON object that it is, else `{"base64": …}`."""
    try:
        found = json.loads(message)
        # What PostgreSQL's JSON has no room for: a zero character, half a surrogate pair, and numbers without an end.
        kept = json.dumps(found, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        found, kept = None, b""
    if isinstance(found, dict) and b"\\u0000" not in kept:
        return found
    return {"base64": base64.b64encode(message).decode()}


def message_of(body: dict[str, Any]) -> bytes:
    """The message that such a body was made of, up to spaces of its JSON."""
    if body.keys() == {"base64"} and isinstance(body["base64"], str):
        return base64.b64decode(body["base64"])
    return json.dumps(body, separators=(",", ":")).encode()
