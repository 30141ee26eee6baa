"""`remit rebuild`: accounts from their entries, by the API, as the admin who is signed in."""

import asyncio
import sys
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from cli.console import fail, say
from cli.staff.api_access import (
    ApiOption,
    EmailOption,
    PasswordStdinOption,
    SignIn,
    TokenOption,
    by_staff_api,
    staff_api,
)

# How often the progress is read and told.
READ_EVERY_SECONDS = 1

# The report of more accounts is read in the API.
MOST_PRINTED = 1_000


def rebuild(
    reason: Annotated[str, typer.Option(help="Why, for the record.")],
    account: Annotated[str | None, typer.Option(metavar="acc_…", help="Rebuild this account.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Rebuild all accounts.")] = False,
    email: EmailOption = None,
    password_stdin: PasswordStdinOption = False,
    token: TokenOption = None,
    api: ApiOption = None,
) -> None:
    """Write balances as the entries say, where they differ, and show what was changed. Needs an admin, and a worker.

    Exit 1: an account was left as it is, because its entries are not what was written. The rebuild goes on if this
    command is ended.
    """
    if (account is None) != everything:
        fail("Give --account acc_… or --all.", status=2)
    wanted = {"reason": reason} | ({"all": True} if everything else {"account_id": account})
    who = SignIn(api, token, email, password_stdin)
    found, findings = by_staff_api(who, _rebuild(who, wanted))
    _print(found, findings)
    raise SystemExit(1 if found["left_as_they_are"] else 0)


async def _rebuild(who: SignIn, wanted: dict[str, Any]) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    async with staff_api(who) as asked:
        requested = await asked.post("/v1/admin/rebuilds", wanted)
        path = f"/v1/admin/rebuilds/{requested['id']}"
        say(f"{path} shows how far it has come.")
        found, last = requested, ""
        while found["state"] != "completed":
            await asyncio.sleep(READ_EVERY_SECONDS if last else 0.1)
            found = await asked.get(path)
            line = f"{found['accounts_done']:,} of {found['accounts_total'] or '?'} accounts"
            if line != last:
                say(line)
            last = line
        findings: dict[str, list[Any]] = {"differences": [], "left": []}
        cursor: str | None = ""
        while cursor is not None and sum(map(len, findings.values())) < MOST_PRINTED:
            page = await asked.get(f"{path}/findings", limit=50, **({"cursor": cursor} if cursor else {}))
            for kind, items in findings.items():
                items.extend(page[kind])
            cursor = page["next_cursor"]
        return found, findings


def _print(found: dict[str, Any], findings: dict[str, list[Any]]) -> None:
    # In a pipe nothing needs to be cut to the width of a terminal.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 200)
    console.print(
        f"{found['accounts_done']:,} accounts looked at, {found['rebuilt']:,} rebuilt, "
        f"{found['left_as_they_are']:,} left as they are."
    )
    if findings["differences"]:
        table = Table(title_justify="left")
        for name in ("Account", "Column", "Before", "After"):
            table.add_column(name, no_wrap=True)
        for each in findings["differences"]:
            table.add_row(each["account_id"], each["column"], str(each["before"]), str(each["after"]))
        console.print(table)
    for each in findings["left"]:
        console.print(f"{each['code']}: {each['detail']}", markup=False, soft_wrap=True)
