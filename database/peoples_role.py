"""Which role a person's command takes."""

import asyncpg

from database.connections import APPLICATION_ROLE, PATIENT, PEOPLES_ROLE, in_doubt

_IS_FOR_PEOPLE = "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1 AND pg_has_role(session_user, oid, 'MEMBER'))"


async def role_for_people(url: str) -> str:
    """The role for people, where this login may take it, else the application's. Raises `Unavailable`."""
    with in_doubt():
        connection = await asyncpg.connect(url, timeout=PATIENT.acquire_seconds)
        try:
            return PEOPLES_ROLE if await connection.fetchval(_IS_FOR_PEOPLE, PEOPLES_ROLE) else APPLICATION_ROLE
        finally:
            await connection.close()
