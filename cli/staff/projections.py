"""`remit projections`: how far each is behind the events, and rebuilds by the API."""

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from cli.console import fail, run_async, say
from cli.database_choice import peoples_database
from cli.staff.api_access import (
    ApiOption,
    EmailOption,
    PasswordStdinOption,
    SignIn,
    TokenOption,
    by_staff_api,
    staff_api,
)
from database.connections import Unavailable
from settings import Settings

if TYPE_CHECKING:
    from projections.projection import ProjectionStanding

app = typer.Typer(help="Show projections, and rebuild them.", no_args_is_help=True)

# How often the progress is read and shown.
READ_EVERY_SECONDS = 0.5


@app.callback()
def projections() -> None:
    """Show projections, and rebuild them."""


@app.command(name="list")
def list_projections() -> None:
    """Show how far each projection is behind the events. Exit 2 where the database cannot be read."""
    from devenv.errors import StackError

    try:
        found = run_async(_read())
    except (StackError, Unavailable) as error:
        fail(" ".join(str(error).split()), status=2)
    table = Table()
    for name in ("Projection", "Generation", "Position", "Head", "Behind", "Seconds"):
        table.add_column(name, no_wrap=True, justify="left" if name == "Projection" else "right")
    for each in found:
        figures = (each.generation, each.position, each.head, each.lag_events, each.lag_seconds)
        table.add_row(each.name, *(f"{figure:,}" for figure in figures))
    # In a pipe nothing needs to be cut to the width of a terminal.
    Console(highlight=False, width=None if sys.stdout.isatty() else 160).print(table)


async def _read() -> "list[ProjectionStanding]":
    from projections.postgres.reads import ProjectionReads

    async with peoples_database(Settings(), "remit-projections") as database:
        return list(await ProjectionReads(database).all())


@app.command()
def rebuild(
    name: Annotated[str, typer.Argument(help="Which one: account_stats or transfer_status.")],
    reason: Annotated[str, typer.Option(help="Why, for the record.")],
    email: EmailOption = None,
    password_stdin: PasswordStdinOption = False,
    token: TokenOption = None,
    api: ApiOption = None,
) -> None:
    """Rebuild a projection beside the rows that are shown, and wait for it. Needs an admin, and a worker.

    The rebuild goes on if this command is ended.
    """
    who = SignIn(api, token, email, password_stdin)
    shown = by_staff_api(who, _rebuild(who, name, reason))
    line = f"{name} is rebuilt: generation {shown['generation']} is shown, as of event {shown['position']:,}."
    print(line)  # noqa: T201 - the result


async def _rebuild(who: SignIn, name: str, reason: str) -> dict[str, Any]:
    async with staff_api(who) as asked:
        path = f"/v1/admin/projections/{name}"
        requested = await asked.post(f"{path}/rebuild", {"reason": reason})
        say(f"{path} shows how far it has come.")
        shown = ""
        while True:
            found = await asked.get(path)
            rebuilt = found["rebuild"]
            if rebuilt["id"] != requested["id"] or rebuilt["completed_at"]:
                return found
            line = f"{rebuilt['stage']}: event {rebuilt['position']:,} of {found['head']:,}"
            if line != shown:
                say(line)
            shown = line
            await asyncio.sleep(READ_EVERY_SECONDS)
