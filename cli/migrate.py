"""`remit migrate`: the newest schema, search attributes and the schedules of sweeps, before processes start."""

import asyncio
from collections.abc import Awaitable, Callable

from cli.console import run_async, say
from cli.production import required_settings
from database.connections import LoginRefused, Unavailable
from settings import Settings

WAIT_SECONDS = 60


def migrate() -> None:
    """Migrate the database to the newest schema; register search attributes and sweeps. Safe to repeat."""
    settings = required_settings("database_url")
    assert settings.database_url is not None
    run_async(_migrate(settings.database_url, settings))
    say("The database has the newest schema.")


async def prepare(database_url: str, temporal_address: str) -> None:
    """Migrate and register what an embedded stack needs before its API starts."""
    await _migrate(database_url, Settings(temporal_address=temporal_address))


async def _migrate(database_url: str, settings: Settings) -> None:
    from database.migrations import migrate as migrate_database
    from sweep_schedules import sweeps_from
    from temporal_client import connect_temporal
    from workflows.registration import register

    await _until_it_answers("PostgreSQL", lambda: migrate_database(database_url))
    if settings.temporal_address is not None:

        async def prepare_temporal() -> None:
            await register(await connect_temporal(settings), settings.task_queue, sweeps_from(settings))

        await _until_it_answers("Temporal", prepare_temporal)


async def _until_it_answers(name: str, attempt: Callable[[], Awaitable[None]]) -> None:
    """Wait for servers that start at the same time as this command, at most `WAIT_SECONDS`.

    Says each reason once. A login that is refused stays refused, so it ends the wait.
    """
    from temporalio.service import RPCError

    deadline = asyncio.get_running_loop().time() + WAIT_SECONDS
    reported = ""
    while True:
        try:
            return await attempt()
        except LoginRefused as refused:
            raise Unavailable(f"{refused}. Check user and password in REMIT_DATABASE_URL.") from refused
        except (Unavailable, RuntimeError, RPCError) as error:
            reason = str(error)
            if asyncio.get_running_loop().time() > deadline:
                raise Unavailable(f"Gave up after {WAIT_SECONDS} s: {reason}") from error
            if reason != reported:
                say(f"Waiting for {name}: {reason}")
                reported = reason
            await asyncio.sleep(2)
