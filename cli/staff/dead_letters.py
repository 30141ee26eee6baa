"""`remit dead-letters`: what did not arrive, by the API, as the member of staff who is signed in."""

import json
import sys
from datetime import datetime
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

app = typer.Typer(help="Events that did not arrive: look at them, send them again, or give them up.")

_PATH = "/v1/admin/dead-letters"
_PAGE = 50

LetterArgument = Annotated[str, typer.Argument(metavar="dlt_…", help="The dead letter.")]
ReasonOption = Annotated[str, typer.Option(help="Why, for the record.")]
SourceOption = Annotated[
    str | None, typer.Option(help="Who gave up: webhooks, kafka, rabbitmq, queue:wallet.events.worker, …")
]
TargetOption = Annotated[str | None, typer.Option(help="Where it did not arrive: an endpoint's id.")]
SinceOption = Annotated[datetime | None, typer.Option(help="Only what died at this time (UTC) or later.")]


@app.command("list")
def list_letters(
    source: SourceOption = None,
    target: TargetOption = None,
    since: SinceOption = None,
    state: Annotated[str, typer.Option(help="dead, replayed, discarded or all.")] = "dead",
    limit: Annotated[int, typer.Option(min=1, help="So many at most.")] = 50,
    email: EmailOption = None,
    password_stdin: PasswordStdinOption = False,
    token: TokenOption = None,
    api: ApiOption = None,
) -> None:
    """Show dead letters, newest first."""
    wanted = _filter(source, target, since) | ({} if state == "all" else {"state": state})
    who = SignIn(api, token, email, password_stdin)
    _print(by_staff_api(who, _listed(who, wanted, limit)))


@app.command("show")
def show_letter(
    letter: LetterArgument,
    email: EmailOption = None,
    password_stdin: PasswordStdinOption = False,
    token: TokenOption = None,
    api: ApiOption = None,
) -> None:
    """Show one dead letter with its body, as JSON."""
    who = SignIn(api, token, email, password_stdin)
    _print_json(by_staff_api(who, _got(who, letter)))


@app.command("replay")
def replay_letters(
    reason: ReasonOption,
    letter: Annotated[str | None, typer.Argument(metavar="[dlt_…]", help="One letter; else all that fit.")] = None,
    source: SourceOption = None,
    target: TargetOption = None,
    since: SinceOption = None,
    everything: Annotated[bool, typer.Option("--all", help="All of them, without a filter.")] = False,
    email: EmailOption = None,
    password_stdin: PasswordStdinOption = False,
    token: TokenOption = None,
    api: ApiOption = None,
) -> None:
    """Send dead letters again to where each died, with their events' ids. Without a letter: the newest 500 that fit."""
    chosen = _filter(source, target, since)
    if [letter is not None, bool(chosen), everything].count(True) != 1:
        fail("Give one letter, or a filter (--source, --target, --since), or --all.", status=2)
    who = SignIn(api, token, email, password_stdin)
    if letter is not None:
        _print([by_staff_api(who, _acted(who, f"/{letter}/replay", {"reason": reason}))])
        return
    found = by_staff_api(who, _acted(who, "/replay", chosen | {"reason": reason}))
    _print(found["items"])
    if found["has_more"]:
        say("More letters fit: run the same again.")


@app.command("discard")
def discard_letter(
    letter: LetterArgument,
    reason: ReasonOption,
    email: EmailOption = None,
    password_stdin: PasswordStdinOption = False,
    token: TokenOption = None,
    api: ApiOption = None,
) -> None:
    """Give one dead letter up, for good."""
    who = SignIn(api, token, email, password_stdin)
    _print([by_staff_api(who, _acted(who, f"/{letter}/discard", {"reason": reason}))])


def _filter(source: str | None, target: str | None, since: datetime | None) -> dict[str, str]:
    given = {"source": source, "target": target, "since": f"{since.isoformat()}Z" if since else None}
    return {name: value for name, value in given.items() if value is not None}


async def _listed(who: SignIn, wanted: dict[str, str], limit: int) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    cursor: str | None = ""
    async with staff_api(who) as asked:
        while cursor is not None and len(items) < limit:
            place = {"cursor": cursor} if cursor else {}
            page = await asked.get(_PATH, limit=min(_PAGE, limit - len(items)), **wanted, **place)
            items += page["items"]
            cursor = page["next_cursor"]
    return items


async def _got(who: SignIn, letter: str) -> dict[str, Any]:
    async with staff_api(who) as asked:
        return await asked.get(f"{_PATH}/{letter}")


async def _acted(who: SignIn, path: str, body: dict[str, Any]) -> dict[str, Any]:
    async with staff_api(who) as asked:
        return await asked.post(f"{_PATH}{path}", body)


def _print_json(found: dict[str, Any]) -> None:
    typer.echo(json.dumps(found, indent=2, ensure_ascii=False))


def _print(letters: list[dict[str, Any]]) -> None:
    # In a pipe nothing needs to be cut to the width of a terminal.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 220)
    if letters:
        table = Table(title_justify="left")
        for name in ("Letter", "State", "Source", "Target", "Type", "Event", "Died", "Reason"):
            table.add_column(name, no_wrap=name != "Reason")
        for each in letters:
            names = ("id", "state", "source", "target", "type", "event_id", "died_at", "reason")
            table.add_row(*(str(each[name] or "") for name in names))
        console.print(table)
    console.print(f"{len(letters)} dead letters.", markup=False)
