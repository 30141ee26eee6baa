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
    from customers.customer import Customer

app = typer.Typer(help="Staff of the service.", no_args_is_help=True)


@app.command()
def create(
    email: Annotated[str, typer.Option(help="The email address to sign in with.")],
    full_name: Annotated[str | None, typer.Option(help="The full name of somebody new.")] = None,
    promote: Annotated[
        str | None, typer.Option(help="cus_…: make this registered customer staff, with a new password.")
    ] = None,
    operator: Annotated[bool, typer.Option("--operator", help="Make an operator instead of an admin.")] = False,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input, not a prompt.")
    ] = False,
) -> None:
    """Make an admin, with a password from a prompt. Needs the database role that owns the tables.

    Somebody who has registered with the address is left alone, unless --promote names them: then they get the new
    password, and their sessions end.
    """
    from staff.postgres.owner_grants import NobodyToPromote, NotTheOwner, RegisteredAlready

    if (full_name is None) == (promote is None):
        fail("Give --full-name for somebody new, or --promote cus_… for a registered customer.", status=2)
    wanted = {"email": email, "password": _new_password(from_stdin=password_stdin)}
    if full_name is not None:
        wanted["full_name"] = full_name
    try:
        customer = run_async(_make_staff(Settings(), wanted, promote, operator=operator))
    except (NobodyToPromote, NotTheOwner, RegisteredAlready) as refusal:
        fail(str(refusal))
    role = "an operator" if operator else "an admin"
    say(f"{customer.email} ({customer.id}) is {role} now, and signs in at /v1/auth/login with this password.")


async def _make_staff(settings: Settings, wanted: dict[str, str], promote: str | None, *, operator: bool) -> "Customer":
    from api.auth.passwords import hash_password
    from api.customers.models import PromotedIn, StaffIn
    from customers.sign_ins.networks import client_at
    from ledger.ids import CustomerId
    from staff.permissions import Role
    from staff.postgres.owner_grants import OwnerGrants

    role = Role.OPERATOR if operator else Role.ADMIN
    try:
        person = (PromotedIn if promote is not None else StaffIn).model_validate(wanted)
    except ValidationError as error:
        for found in error.errors():
            say(f"{str(found['loc'][0]).replace('_', '-')}: {found['msg'].removeprefix('Value error, ')}")
        raise SystemExit(2) from None
    password_hash = await hash_password(person.password.get_secret_value(), client_at("console"))
    async with (
        chosen_database_url(settings) as url,
        Database(url, connections=1, application_name="remit-admin") as database,
    ):
        await database.ping()
        grants = OwnerGrants(database)
        if isinstance(person, StaffIn):
            return await grants.create(person.email, person.full_name, password_hash, role)
        assert promote is not None, "only a registered customer keeps their name"
        return await grants.promote(CustomerId(promote), person.email, password_hash, role)


def _new_password(*, from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        fail("There is no terminal to ask for a password: use --password-stdin.", status=2)
    answer: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return answer
