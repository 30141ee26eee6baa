"""The `remit` command: every command of it, and how its errors look. A module beside this one holds each group."""

import typer
from pydantic import ValidationError

from cli import admin
from cli.bench import bench
from cli.console import fail, say
from cli.embedded import demo, run
from cli.migrate import migrate
from cli.openapi import openapi
from cli.production import api, worker
from cli.verify import verify
from database.commits import NotDurable
from database.connections import Unavailable

app = typer.Typer(
    help="Durable money transfers on Temporal and PostgreSQL.", no_args_is_help=True, pretty_exceptions_enable=False
)
for command in (run, demo, api, worker, migrate, openapi, verify, bench):
    app.command()(command)
app.add_typer(admin.app, name="admin")


def main() -> None:
    """The console script. A wrong setting or a server that does not answer is one line, without a stack trace."""
    from devenv.errors import StackError

    try:
        app()
    except (StackError, Unavailable, NotDurable) as error:
        fail(str(error))
    except ValidationError as error:
        for found in error.errors():
            name = "REMIT_" + "_".join(str(part) for part in found["loc"]).upper()
            say(f"{name}: {found['msg']}")
        raise SystemExit(2) from None
