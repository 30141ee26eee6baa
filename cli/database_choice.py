"""Which database a command for operators reads."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from cli.console import say
from database.connections import Database
from database.peoples_role import role_for_people
from settings import Settings


@asynccontextmanager
async def chosen_database_url(settings: Settings) -> AsyncIterator[str]:
    """The database that the settings name, else that of the running stack, else the embedded one, just for this.

    Raises `StackError` where there is none.
    """
    from devenv.errors import StackError
    from devenv.home import Home, live_run
    from devenv.servers.postgres_server import PostgresServer

    if settings.database_url is not None:
        yield settings.database_url
    elif running := live_run(settings.home):
        yield running.database_url
    else:
        home = Home(settings.home)
        if not home.postgres.exists():
            raise StackError(f"There are no books yet in {home.path}: set REMIT_DATABASE_URL, or `remit run` first.")
        with home.held():
            postgres = PostgresServer(home.postgres, log=home.log("postgres"), say=say)
            await postgres.start()
            try:
                yield postgres.url
            finally:
                await postgres.stop()


@asynccontextmanager
async def peoples_database(settings: Settings, name: str) -> AsyncIterator[Database]:
    """The books for a person who looks into them: read by `REMIT_OPERATOR_DATABASE_URL`, else where `verify` reads."""
    if settings.operator_database_url is not None:
        settings = settings.model_copy(update={"database_url": settings.operator_database_url})
    async with (
        chosen_database_url(settings) as url,
        Database(url, connections=1, application_name=name, role=await role_for_people(url)) as database,
    ):
        yield database
