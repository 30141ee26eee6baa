"""`remit run` and `remit demo`: the stack that brings its own servers."""

from pathlib import Path
from typing import Annotated

import typer

from cli.console import run_async, say
from cli.migrate import prepare
from settings import Settings


def run() -> None:
    """Run the embedded stack in the foreground: PostgreSQL, Temporal with its Web UI, API and worker. Ctrl-C stops."""
    from devenv.stack import Stack
    from workflows.search_attributes import SEARCH_ATTRIBUTE_TYPES

    stack = Stack(Settings(), prepare, search_attributes=SEARCH_ATTRIBUTE_TYPES, say=say)
    run_async(stack.run_until_stopped())


def demo(
    save_svg: Annotated[Path | None, typer.Option(hidden=True, help="Also save the output as a picture.")] = None,
) -> None:
    """Show what Remit does on embedded servers, and check each claim; exit 0 only if every claim held."""
    from devenv.demo.command import run_demo

    raise SystemExit(0 if run_async(run_demo(Settings(), prepare, say, save_svg)) else 1)
