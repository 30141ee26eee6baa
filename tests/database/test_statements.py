"""Statements of SQLAlchemy Core run on the service's own connections, and their rows become dataclasses and pages."""

import gc
import weakref
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import asyncpg
import pytest
from sqlalchemy import Column, DateTime, MetaData, Table, Text, bindparam, func, insert, literal, select, true
from sqlalchemy.dialects.postgresql import JSONB

from database.connections import Database, NotText
from database.paging import Place, fetch_page, newest_first
from database.rows import dataclass_of
from database.statements import Row, execute, fetch, fetch_first, fetch_only, fetch_value
from tests.connections import Connection

revoked_tokens = Table(
    "revoked_tokens",
    MetaData(),
    Column("token_id", Text, primary_key=True),
    Column("expires_at", DateTime(timezone=True)),
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
async def a_table_of_no_noun(owner: Connection) -> None:
    await owner.execute("CREATE TABLE revoked_tokens (token_id text PRIMARY KEY, expires_at timestamptz NOT NULL)")
    await owner.execute("GRANT SELECT, INSERT ON revoked_tokens TO remit_app")


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True)
class Painted:
    colour: Colour
    second_colour: Colour | None
    facts: dict[str, Any] | None
    painted_by: str = "nobody"


async def write(database: Database, *tokens: tuple[str, datetime]) -> None:
    async with database.connection() as connection:
        for token_id, expires_at in tokens:
            await execute(connection, insert(revoked_tokens).values(token_id=token_id, expires_at=expires_at))


async def test_core_and_text_commit_or_roll_back_together(database: Database) -> None:
    async def write_both(token_id: str, *, times: int) -> None:
        async with database.transaction() as connection:
            await execute(connection, insert(revoked_tokens).values(token_id=f"{token_id}-core", expires_at=NOON))
            for _ in range(times):
                await connection.execute(
                    "INSERT INTO revoked_tokens (token_id, expires_at) VALUES ($1, $2)", f"{token_id}-text", NOON
                )

    with pytest.raises(asyncpg.UniqueViolationError):
        await write_both("lost", times=2)
    await write_both("kept", times=1)
    async with database.connection() as connection:
        rows = await fetch(connection, select(revoked_tokens.c.token_id).order_by(revoked_tokens.c.token_id))
    assert [row["token_id"] for row in rows] == ["kept-core", "kept-text"]


async def test_a_statement_that_is_built_once_takes_other_values_each_time(database: Database) -> None:
    await write(database, ("a", NOON), ("b", NOON + timedelta(seconds=1)))
    expiry = select(revoked_tokens.c.expires_at).where(revoked_tokens.c.token_id == bindparam("token_id"))
    async with database.connection() as connection:
        assert await fetch_value(connection, expiry, token_id="a") == NOON
        assert await fetch_value(connection, expiry, token_id="b") == NOON + timedelta(seconds=1)
        assert await fetch_first(connection, expiry, token_id="c") is None


async def test_statements_of_one_form_take_each_its_own_values(database: Database) -> None:
    """They are compiled once."""
    await write(database, ("a", NOON), ("b", NOON + timedelta(seconds=1)))

    async def expiry(token_id: str, since: datetime, most: int) -> list[datetime]:
        table = revoked_tokens.c
        statement = select(table.expires_at).where(table.token_id == token_id, table.expires_at >= since).limit(most)
        async with database.connection() as connection:
            return [row["expires_at"] for row in await fetch(connection, statement)]

    assert await expiry("a", NOON, 1) == [NOON]
    assert await expiry("b", NOON, 1) == [NOON + timedelta(seconds=1)]
    assert await expiry("a", NOON + timedelta(seconds=1), 1) == []
    assert await expiry("a", NOON, 0) == []


async def test_a_statement_that_is_built_for_a_request_is_freed_with_it(database: Database) -> None:
    """With it go its literals, such as password hashes, also those of the first of its form."""

    class Secret(str):
        __slots__ = ("__weakref__",)

    secret = Secret("a")
    expiry = select(revoked_tokens.c.expires_at).where(revoked_tokens.c.token_id == secret, true())
    async with database.connection() as connection:
        assert await fetch_value(connection, expiry) is None
    statement, literal = weakref.ref(expiry), weakref.ref(secret)
    del expiry, secret
    gc.collect()
    assert (statement(), literal()) == (None, None)


async def test_a_statement_without_one_of_its_values_is_not_run(database: Database) -> None:
    expiry = select(revoked_tokens.c.expires_at).where(revoked_tokens.c.token_id == bindparam("token_id"))
    async with database.connection() as connection:
        with pytest.raises(TypeError, match="needs values for token_id"):
            await fetch_value(connection, expiry)


async def test_a_zero_character_is_refused_as_bad_text(database: Database) -> None:
    with pytest.raises(NotText):
        await write(database, ("\0", NOON))


async def test_a_row_becomes_a_dataclass_with_its_enums_and_json(database: Database) -> None:
    facts = {"price": 3, "owners": ["ada"]}
    row = select(
        literal("red").label("p_colour"),
        func.nullif("a", "a").label("p_second_colour"),
        literal(facts, JSONB).label("p_facts"),
        literal(1).label("beside"),
    )
    async with database.connection() as connection:
        painted = dataclass_of(Painted, await fetch_only(connection, row), prefix="p_")
        assert painted == Painted(Colour.RED, None, facts)
        assert painted.colour is Colour.RED
        given = dataclass_of(Painted, await fetch_only(connection, row), prefix="p_", painted_by="bob")
    assert given == Painted(Colour.RED, None, facts, "bob")


async def test_pages_hold_each_row_once_and_the_last_one_says_so(database: Database) -> None:
    written = [("a", NOON), ("b", NOON), ("c", NOON), ("d", NOON + timedelta(seconds=1))]
    await write(database, *written)

    def place_of(row: Row) -> Place:
        return row["expires_at"], row["token_id"]

    found: list[Place] = []
    sizes = []
    before: Place | None = None
    async with database.connection() as connection:
        while True:
            tokens = newest_first(
                select(revoked_tokens),
                revoked_tokens.c.expires_at,
                revoked_tokens.c.token_id,
                behind=before is not None,
            )
            page = await fetch_page(connection, tokens, 2, place_of, before)
            found += page.items
            sizes.append(len(page.items))
            if not page.has_more:
                break
            before = page.items[-1]
    assert [token_id for _, token_id in found] == ["d", "c", "b", "a"]
    assert sizes == [2, 2]
