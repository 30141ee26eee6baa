"""`remit events`: what concerns events."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.console import say
from cli.events.consumption import consume
from cli.events.retirement import retire_sink

app = typer.Typer(help="Events: what happened, for people and systems.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Events: what happened, for people and systems."""


app.command("retire-sink")(retire_sink)
app.command()(consume)


@app.command()
def schema(
    out: Annotated[Path, typer.Option(help="The folder to write to, which exists.")] = Path(),
) -> None:
    """Write the contract of events: asyncapi.json (AsyncAPI 3) and event-schemas.json, a JSON Schema for each type."""
    for name, contents in documents().items():
        (out / name).write_text(contents)
        say(f"{out / name} is written.")


def documents() -> dict[str, str]:
    """The text of each file, by its name."""
    from events.schemas import asyncapi, schemas

    return {"asyncapi.json": _text(asyncapi()), "event-schemas.json": _text(schemas())}


def _text(contents: dict[str, Any]) -> str:
    return json.dumps(contents, indent=1, ensure_ascii=False) + "\n"
