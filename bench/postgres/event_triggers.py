"""Books whose changes make no events: only for the control of a measurement."""

import asyncpg

_EMITTERS = """
    SELECT format('ALTER TABLE %s DISABLE TRIGGER %I', tgrelid::regclass, tgname) AS statement
    FROM pg_trigger WHERE tgname ~ '^emitted' AND NOT tgisinternal
"""


async def disable_event_triggers(database_url: str) -> int:
    """Disable every trigger that writes an event. Returns how many there are."""
    connection = await asyncpg.connect(database_url)
    try:
        statements = [row["statement"] for row in await connection.fetch(_EMITTERS)]
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()
    return len(statements)
