"""`remit events retire-sink`: by the API, as the member of staff who is signed in."""

from typing import Annotated, Any

import typer

from cli.staff.api_access import (
    ApiOption,
    EmailOption,
    PasswordStdinOption,
    SignIn,
    TokenOption,
    by_staff_api,
    staff_api,
)


def retire_sink(
    name: Annotated[str, typer.Argument(help="Which one, as `GET /v1/admin/sinks` names it.")],
    reason: Annotated[str, typer.Option(help="Why, for the record.")],
    email: EmailOption = None,
    password_stdin: PasswordStdinOption = False,
    token: TokenOption = None,
    api: ApiOption = None,
) -> None:
    """Forget a sink that nobody runs any more, so that it holds up no old events. Needs an admin."""
    who = SignIn(api, token, email, password_stdin)
    found = by_staff_api(who, _retire(who, name, reason))
    typer.echo(f"{found['name']} is retired: it had delivered all events up to {found['position']:,}.")


async def _retire(who: SignIn, name: str, reason: str) -> dict[str, Any]:
    async with staff_api(who) as asked:
        return await asked.post(f"/v1/admin/sinks/{name}/retire", {"reason": reason})
