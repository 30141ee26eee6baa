"""`remit rebuild`: accounts from their entries, by the API, as the admin who is signed in."""

import asyncio
import secrets
import sys
from dataclasses import dataclass
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console
from rich.table import Table

from cli.console import fail, run_async, say
from settings import Settings

# How often the progress is read and told.
READ_EVERY_SECONDS = 1

# The report of more accounts is read in the API.
MOST_PRINTED = 1_000


@dataclass(frozen=True)
class SignIn:
    """Who asks: with a token, or with an address and a password that is asked for."""

    token: str | None
    email: str | None
    password_stdin: bool


class ApiRefused(Exception):
    """The API answered with a problem."""


def rebuild(
    reason: Annotated[str, typer.Option(help="Why, for the record.")],
    account: Annotated[str | None, typer.Option(metavar="acc_…", help="Rebuild this account.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Rebuild all accounts.")] = False,
    email: Annotated[str | None, typer.Option(help="Sign in with this address. Asks for the password.")] = None,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input, not a prompt.")
    ] = False,
    token: Annotated[
        str | None, typer.Option(envvar="STAFF_TOKEN", help="An access token, instead of an address.")
    ] = None,
    api: Annotated[str | None, typer.Option(help="Where the API is. Without it: the running stack's.")] = None,
) -> None:
    """Write balances as the entries say, where they differ, and show what was changed. Needs an admin, and a worker.

    Exit 1: an account was left as it is, because its entries are not what was written. The rebuild goes on if this
    command is ended.
    """
    from devenv.home import live_run

    if (account is None) != everything:
        fail("Give --account acc_… or --all.", status=2)
    if (token is None) == (email is None):
        fail("Give --email, or a token in STAFF_TOKEN.", status=2)
    running = live_run(Settings().home) if api is None else None
    url = api or (running.api_url if running else None)
    if url is None:
        fail("No stack runs here: give --api, the address of the API.", status=2)
    wanted = {"reason": reason} | ({"all": True} if everything else {"account_id": account})
    try:
        found, findings = run_async(_rebuild(url, SignIn(token, email, password_stdin), wanted))
    except ApiRefused as refused:
        fail(str(refused), status=2)
    except httpx.HTTPError as error:
        fail(f"The API at {url} does not answer: {type(error).__name__}. What it has accepted goes on.", status=2)
    _print(found, findings)
    raise SystemExit(1 if found["left_as_they_are"] else 0)


async def _rebuild(url: str, who: SignIn, wanted: dict[str, Any]) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    async with httpx.AsyncClient(base_url=url, timeout=30, trust_env=False) as http:
        http.headers["Authorization"] = f"Bearer {who.token or await _signed_in(http, who)}"
        key = {"Idempotency-Key": secrets.token_hex(16)}
        requested = _told(await http.post("/v1/admin/rebuilds", json=wanted, headers=key))
        path = f"/v1/admin/rebuilds/{requested['id']}"
        say(f"{path} shows how far it has come.")
        found, told = requested, ""
        while found["state"] != "completed":
            await asyncio.sleep(READ_EVERY_SECONDS if told else 0.1)
            found = _told(await http.get(path))
            line = f"{found['accounts_done']:,} of {found['accounts_total'] or '?'} accounts"
            if line != told:
                say(line)
            told = line
        findings: dict[str, list[Any]] = {"differences": [], "left": []}
        cursor: str | None = ""
        while cursor is not None and sum(map(len, findings.values())) < MOST_PRINTED:
            page = _told(
                await http.get(f"{path}/findings", params={"limit": 50} | ({"cursor": cursor} if cursor else {}))
            )
            for kind, items in findings.items():
                items.extend(page[kind])
            cursor = page["next_cursor"]
        return found, findings


async def _signed_in(http: httpx.AsyncClient, who: SignIn) -> str:
    password = sys.stdin.readline().rstrip("\n") if who.password_stdin else typer.prompt("Password", hide_input=True)
    body = {"email": who.email, "password": password}
    answer = await http.post("/v1/auth/login", json=body)
    if answer.status_code == httpx.codes.UNAUTHORIZED and answer.json()["code"] == "second_factor_required":
        body["second_factor"] = typer.prompt("Code of your app", hide_input=True)
        answer = await http.post("/v1/auth/login", json=body)
    return str(_told(answer)["access_token"])


def _told(answer: httpx.Response) -> dict[str, Any]:
    if answer.is_success:
        return dict(answer.json())
    try:
        problem = answer.json()
        raise ApiRefused(f"{problem['code']}: {problem['detail']}")
    except (ValueError, KeyError) as error:
        raise ApiRefused(f"The API answers {answer.status_code}.") from error


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
