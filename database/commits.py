"""Whether PostgreSQL keeps what it has committed, whatever crashes. An acknowledged transfer must never vanish."""

import asyncio

import structlog

from database.connections import Database, Unavailable

log = structlog.get_logger()

# The values with which a commit survives. Each process sets synchronous_commit for its sessions; a pooler between them
# may drop that. `remote_apply` waits for more than `on`.
_DURABLE = {"fsync": {"on"}, "full_page_writes": {"on"}, "synchronous_commit": {"on", "remote_apply"}}

_SETTINGS = "SELECT name, setting FROM pg_settings WHERE name = ANY ($1::text[])"

LONGEST_PAUSE_SECONDS = 5


class NotDurable(Exception):
    """PostgreSQL may lose what it has committed. The message names the settings, for people."""


async def check_commits(database: Database, *, sandbox: bool) -> None:
    """Raises `NotDurable` if this server may lose commits; in a sandbox it is only logged.

    Raises `Unavailable` where PostgreSQL gave no answer.
    """
    async with database.connection() as connection:
        found = {row["name"]: row["setting"] for row in await connection.fetch(_SETTINGS, list(_DURABLE))}
    wrong = [f"{name} is {found.get(name)}" for name, durable in _DURABLE.items() if found.get(name) not in durable]
    if not wrong:
        return
    message = f"PostgreSQL may lose acknowledged transfers in a crash: {', '.join(wrong)}. Set it to on."
    if not sandbox:
        raise NotDurable(f"{message} Only a sandbox (REMIT_SANDBOX_RAILS=true) starts like this.")
    log.warning(message)


async def wait_for_durable_commits(database: Database, *, sandbox: bool) -> None:
    """The same, once PostgreSQL answers."""
    pause, logged = 0.2, ""
    while True:
        try:
            return await check_commits(database, sandbox=sandbox)
        except Unavailable as error:
            if str(error) != logged:
                log.warning("%s. Trying again until PostgreSQL answers", error)
                logged = str(error)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
