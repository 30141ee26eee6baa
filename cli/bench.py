"""`remit bench`: what transfers cost."""

from pathlib import Path
from typing import Annotated

import typer

from cli.console import fail, run_async, say
from cli.migrate import prepare


def bench(
    quick: Annotated[bool, typer.Option("--quick", help="Fewer cases and rounds: under three minutes.")] = False,
    only: Annotated[str, typer.Option(help="Cases and phases to run, as the report names them: c,e,sign-ins")] = "",
    out: Annotated[Path, typer.Option(help="Where results, tables and charts go.")] = Path(".remit/bench"),
    seed: Annotated[int, typer.Option(help="The seed of the loads: the same seed repeats them.")] = 1,
    report: Annotated[Path | None, typer.Option(help="Measure nothing: print and draw these results.")] = None,
    sockets: Annotated[bool, typer.Option("--sockets", help="Measure from a commit to an open socket alone.")] = False,
) -> None:
    """Measure transfers against what they could cost, on embedded servers; exit 1 if a case breaks its books."""
    from bench.command import Mistake, run_bench
    from bench.run import BooksBroken
    from bench.socket_delay import measure_sockets
    from bench.traffic.jobs import JobFailed

    if sockets:
        if not run_async(measure_sockets(prepare, say)):
            raise typer.Exit(1)
        return
    try:
        run_async(run_bench(prepare, quick=quick, only=only, out=out, seed=seed, report=report))
    except Mistake as mistake:
        fail(str(mistake), status=2)
    except (BooksBroken, JobFailed) as failure:
        fail("\n".join([str(failure), *getattr(failure, "__notes__", [])]))
