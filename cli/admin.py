"""`remit admin`: staff of the service."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import ValidationError

from cli.console import fail, run_async, say
from cli.database_choice import chosen_database_url
from database.connections import Database
from settings import Settings

if TYPE_CHECKING:
    from staff.postgres.operators import MadeAdmin

app = typer.Typer(help="Staff of the service.", no_args_is_help=True)


@app.command()
def create(
    email: Annotated[str, typer.Option(help="The email address to sign in with.")],
    full_name: Annotated[str, typer.Option(help="The full name. A registered customer keeps theirs.")],
    password_stdin: Annotated[bool, typer.Option(help="Read the password from standard input, not a prompt.")] = False,
) -> None:
    """Make a new admin, with a password from a prompt, or make the customer with this address one. Safe to repeat."""
    from staff.permissions import Role

    wanted = {"email": email, "full_name": full_name}
    made = run_async(_make_admin(Settings(), **wanted))
    if made is None:
        made = run_async(_make_admin(Settings(), **wanted, password=_new_password(from_stdin=password_stdin)))
    assert made is not None, "there was a password to make them with"
    who = f"{made.customer.email} ({made.customer.id})"
    if made.was is None:
        say(f"{who} is an admin now, and signs in at /v1/auth/login with this password.")
    elif made.was is Role.ADMIN:
        say(f"{who} is an admin already. Nothing changed.")
    else:
        say(f"{who} was registered as {made.was} and is an admin now, with name and password as they were.")


async def _make_admin(settings: Settings, **wanted: str) -> "MadeAdmin | None":
    from api.auth.passwords import hash_password
    from api.customers.models import AdminIn
    from staff.postgres.operators import Operators

    try:
        person = AdminIn.model_validate(wanted)
    except ValidationError as error:
        for found in error.errors():
            say(f"{str(found['loc'][0]).replace('_', '-')}: {found['msg']}")
        raise SystemExit(2) from None
    password_hash = await hash_password(person.password.get_secret_value()) if person.password else None
    async with (
        chosen_database_url(settings) as url,
        Database(url, connections=1, application_name="remit-admin") as database,
    ):
        await database.ping()
        return await Operators(database).make_admin(person.email.lower(), person.full_name, password_hash)


def _new_password(*, from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        fail("There is no terminal to ask for a password: use --password-stdin.", status=2)
    answer: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return answer
