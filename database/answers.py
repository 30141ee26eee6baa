"""The first answers to requests with an `Idempotency-Key` that move no money of their own.

An answer is kept in the transaction of its act: both commit, or neither does. So a repeat finds the answer, or the act
has not happened. A request that is refused keeps nothing, and its key stays free. Every used key has
one row in `keys`, which names its transfer, or none for a request in `answers`: so of two requests at once one gets it.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy import Column, ForeignKey, SmallInteger, Table, Text, text

from database.metadata import METADATA, Timestamp, required
from database.rows import dataclass_of

if TYPE_CHECKING:
    from database.connections import Connection

Result = TypeVar("Result")

# Keeps the answer that is made of an act's result, inside the act's transaction.
Keep = Callable[["Connection", Result], Awaitable[None]]

answers = Table(
    "answers",
    METADATA,
    Column("owner_id", Text, ForeignKey("customers.id"), primary_key=True),
    Column("idempotency_key", Text, primary_key=True),
    required("request", Text),
    Column("attempt", SmallInteger),
    Column("status", SmallInteger),
    Column("location", Text),
    Column("body", Text),
    required("recorded_at", Timestamp, server_default=text("clock_timestamp()")),
)

_FIND = """
    SELECT a.owner_id, a.request, a.attempt, a.status, a.location, a.body,
        EXISTS (SELECT FROM keys k WHERE k.owner_id = $1 AND k.idempotency_key = $2 AND k.transfer_id IS NOT NULL)
            AS moved_money
    FROM (SELECT) one LEFT JOIN answers a ON a.owner_id = $1 AND a.idempotency_key = $2
"""

_KEEP = """
    WITH named AS (
        INSERT INTO keys (owner_id, idempotency_key) VALUES ($1, $2)
        ON CONFLICT DO NOTHING RETURNING owner_id, idempotency_key
    )
    INSERT INTO answers (owner_id, idempotency_key, request, attempt, status, location, body)
    SELECT owner_id, idempotency_key, $3, $4::smallint, $5::smallint, $6, $7 FROM named RETURNING 1
"""


@dataclass(frozen=True, slots=True)
class KeyedRequest:
    """A request of one customer under one key. `request` is a digest of what was asked for."""

    owner_id: str
    key: str
    request: str


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """What a key was used for: an act with its answer, or another attempt of a transfer.

    An `attempt` is kept before it begins. It is answered with the transfer's present state.
    """

    request: str
    attempt: int | None = None
    status: int | None = None
    location: str | None = None
    body: str | None = None


@dataclass(eq=False)
class KeyTaken(Exception):
    """Another request of the same customer has used the key meanwhile. The transaction must not commit."""

    asked: KeyedRequest


async def keeps_nothing(_connection: "Connection", _result: object) -> None:
    """For acts that nobody repeats under a key."""


async def find_answer(connection: "Connection", asked: KeyedRequest) -> KeptAnswer | None:
    """What the key was used for; None: nothing yet. Raises `KeyTaken` if it has moved money."""
    row = await connection.fetchrow(_FIND, asked.owner_id, asked.key)
    assert row is not None, "one row is always selected"
    # Nobody gets the answer of another, also where a statement here forgets whose the key is.
    if row["moved_money"] or (row["owner_id"] or asked.owner_id) != asked.owner_id:
        raise KeyTaken(asked)
    return dataclass_of(KeptAnswer, row) if row["request"] is not None else None


async def keep_answer(connection: "Connection", asked: KeyedRequest, answer: KeptAnswer) -> None:
    """Use the key up. Raises `KeyTaken` if another request was first: it waits for that one's transaction to end.

    A transfer that is opened with the key at the same time waits for this transaction.
    """
    values = (answer.request, answer.attempt, answer.status, answer.location, answer.body)
    if await connection.fetchval(_KEEP, asked.owner_id, asked.key, *values) is None:
        raise KeyTaken(asked)
