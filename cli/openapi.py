"""`remit openapi`: the API's contract as a document."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from cli.console import say


def openapi(
    out: Annotated[Path | None, typer.Option(help="The file to write; without it, standard output.")] = None,
) -> None:
    """Write the API's contract, an OpenAPI document. It needs no server and no settings."""
    from api.app import describe

    text = json.dumps(describe(), indent=1, ensure_ascii=False) + "\n"
    if out is None:
        sys.stdout.write(text)
    else:
        out.write_text(text)
        say(f"{out} has the contract.")
