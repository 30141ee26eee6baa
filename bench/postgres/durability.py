"""What the PostgreSQL of a run is, and that it keeps what it has acknowledged."""

import asyncpg

_ASKED = {"PostgreSQL": "server_version", "fsync": "fsync", "synchronous_commit": "synchronous_commit"}


async def server_settings(database_url: str) -> dict[str, str]:
    """Version, and the two settings that durability depends on."""
    connection = await asyncpg.connect(database_url)
    try:
        return {name: str(await connection.fetchval(f"SHOW {setting}")) for name, setting in _ASKED.items()}
    finally:
        await connection.close()
