"""The `remit` command: every command of it, and how its errors look. A module beside this one holds each group."""

import os

import typer
from pydantic import ValidationError

from cli import admin
from cli.bench import bench
from cli.books.rebuild import rebuild
from cli.console import fail, say
from cli.embedded import demo, run
from cli.events import schema
from cli.migrate import migrate
from cli.openapi import openapi
from cli.overview import rules
from cli.overview.show import show
from cli.overview.status import status
from cli.production import api, worker
from cli.reencrypt import reencrypt
from cli.staff import dead_letters, projections
from cli.verify import verify
from database.commits import NotDurable
from database.connections import Unavailable
from screening.rule_sets import RulesInvalid
from settings import PREFIX, unknown_variables

app = typer.Typer(
    help="Durable money transfers on Temporal and PostgreSQL.", no_args_is_help=True, pretty_exceptions_enable=False
)
for command in (run, demo, api, worker, migrate, status, show, openapi, verify, rebuild, reencrypt, bench):
    app.command()(command)
app.add_typer(admin.app, name="admin")
app.add_typer(rules.app, name="rules")
app.add_typer(projections.app, name="projections")
app.add_typer(schema.app, name="events")
app.add_typer(dead_letters.app, name="dead-letters")


@app.callback()
def refuse_misspelt_settings() -> None:
    """Durable money transfers on Temporal and PostgreSQL."""
    if unknown := unknown_variables(os.environ):
        fail("\n".join(unknown), status=2)


def main() -> None:
    """The console script. A wrong setting or a server that does not answer is one line, without a stack trace."""
    from devenv.errors import StackError

    try:
        app()
    except (StackError, Unavailable, NotDurable) as error:
        fail(str(error))
    except RulesInvalid as error:
        fail("\n".join(error.errors), status=2)
    except ValidationError as error:
        for found in error.errors():
            # A contradiction between settings names them itself.
            name = f"{PREFIX}{'_'.join(str(part) for part in found['loc']).upper()}: " if found["loc"] else ""
            say(f"{name}{found['msg'].removeprefix('Value error, ')}")
        raise SystemExit(2) from None
