"""The PostgreSQL of a run: its version, and whether committed writes survive a crash."""

import asyncpg

_ASKED = {"PostgreSQL": "server_version", "fsync": "fsync", "synchronous_commit": "synchronous_commit"}


async def server_settings(database_url: str) -> dict[str, str]:
    """The version, and the two settings that durability depends on."""
    connection = await asyncpg.connect(database_url)
    try:
        return {name: str(await connection.fetchval(f"SHOW {setting}")) for name, setting in _ASKED.items()}
    finally:
        await connection.close()
