"""The `remit` command: every command of it, and how its errors look. A module beside this one holds each group.

A command is loaded when it is called: what the others import would cost it a second.
"""

import os
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand, TyperGroup

from cli.console import fail, say

if TYPE_CHECKING:
    from typer._click import Command, Context


@dataclass(frozen=True, slots=True)
class Place:
    """Where a command or a group of commands is, and what the list of commands says about it."""

    module: str
    name: str
    summary: str

    def load(self) -> "Command":
        """The command itself, or the group."""
        found = getattr(import_module(self.module), self.name)
        if isinstance(found, typer.Typer):
            return typer.main.get_group(found)
        alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        alone.command()(found)
        return typer.main.get_command(alone)


COMMANDS = {
    "run": Place(
        "cli.embedded",
        "run",
        "Run the embedded stack in the foreground: PostgreSQL, Temporal with its Web UI, API and worker. Ctrl-C stops.",
    ),
    "demo": Place(
        "cli.embedded",
        "demo",
        "Show what Remit does on embedded servers, and check each claim; exit 0 only if every claim held.",
    ),
    "api": Place("cli.production", "api", "Serve the HTTP API."),
    "worker": Place("cli.production", "worker", "Run a worker. Start as many as the load needs."),
    "migrate": Place(
        "cli.migrate",
        "migrate",
        "Migrate the database to the newest schema; register search attributes and sweeps. Safe to repeat.",
    ),
    "status": Place(
        "cli.overview.status",
        "status",
        "Show what is stuck, why, who blocks it, and what to do; exit 1 if somebody should act, 2 if unreadable.",
    ),
    "show": Place(
        "cli.overview.show",
        "show",
        "Show everything about a transfer as a timeline: steps, reviews, staff's actions, messages, disputes.",
    ),
    "openapi": Place(
        "cli.openapi", "openapi", "Write the API's contract, an OpenAPI document. It needs no server and no settings."
    ),
    "verify": Place(
        "cli.verify",
        "verify",
        "Check every invariant of the books; exit 1 and name what is broken, 2 where the books cannot be read.",
    ),
    "rebuild": Place(
        "cli.books.rebuild",
        "rebuild",
        "Write balances as the entries say, where they differ, and show what was changed. "
        "Needs an admin, and a worker.",
    ),
    "reencrypt": Place(
        "cli.reencrypt",
        "reencrypt",
        "Encrypt what is kept encrypted with the first of the encryption keys. Safe to repeat, at any time.",
    ),
    "bench": Place(
        "cli.bench",
        "bench",
        "Measure transfers against what they could cost, on embedded servers; exit 1 if a case breaks its books.",
    ),
    "admin": Place("cli.admin", "app", "Staff of the service."),
    "rules": Place("cli.overview.rules", "app", "Try screening rules before they count."),
    "projections": Place("cli.staff.projections", "app", "Show projections, and rebuild them."),
    "events": Place("cli.events.schema", "app", "Events: what happened, for people and systems."),
    "dead-letters": Place(
        "cli.staff.dead_letters",
        "app",
        "Events that did not arrive: look at them, send them again, or give them up.",
    ),
}


class LoadedWhenCalled(TyperGroup):
    """The group of all commands. Only the command that is called is imported."""

    def __init__(self, **attributes: Any) -> None:
        names = {name: TyperCommand(name, help=place.summary) for name, place in COMMANDS.items()}
        super().__init__(**attributes | {"commands": names})

    def resolve_command(self, ctx: "Context", args: list[str]) -> "tuple[str | None, Command | None, list[str]]":
        """The command that these arguments call, and the arguments that are its own."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, COMMANDS[name].load() if name in COMMANDS else command, rest


app = typer.Typer(
    cls=LoadedWhenCalled,
    help="Durable money transfers on Temporal and PostgreSQL.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def refuse_misspelt_settings() -> None:
    """Durable money transfers on Temporal and PostgreSQL."""
    from settings import unknown_variables

    if unknown := unknown_variables(os.environ):
        fail("\n".join(unknown), status=2)


def main() -> None:
    """The console script. A wrong setting or a server that does not answer is one line, without a stack trace."""
    try:
        app()
    except Exception as error:
        _explain(error)
        raise


def _explain(error: Exception) -> None:
    """End with one line about an error that a person can mend; return if it is another one."""
    from pydantic import ValidationError

    from database.commits import NotDurable
    from database.connections import Unavailable
    from devenv.errors import StackError
    from screening.rule_sets import RulesInvalid
    from settings import PREFIX

    match error:
        case StackError() | Unavailable() | NotDurable():
            fail(str(error))
        case RulesInvalid():
            fail("\n".join(error.errors), status=2)
        case ValidationError():
            for found in error.errors():
                # A contradiction between settings names them itself.
                name = f"{PREFIX}{'_'.join(str(part) for part in found['loc']).upper()}: " if found["loc"] else ""
                say(f"{name}{found['msg'].removeprefix('Value error, ')}")
            raise SystemExit(2) from None
