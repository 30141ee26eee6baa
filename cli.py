"""The `remit` command. Each command is a composition root: it reads the settings and passes plain values on."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer
import uvloop
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from database.connections import Database, Unavailable
from ledger.money import Money
from ledger.postgres.audit import Audit, audit
from settings import Settings

if TYPE_CHECKING:
    from staff.postgres.operators import MadeAdmin

app = typer.Typer(
    help="Durable money transfers on Temporal and PostgreSQL.", no_args_is_help=True, pretty_exceptions_enable=False
)
admin = typer.Typer(help="Staff of the service.", no_args_is_help=True)
app.add_typer(admin, name="admin")
Result = TypeVar("Result")

MIGRATE_WAIT_SECONDS = 60


def main() -> None:
    """The console script. A wrong setting or a server that does not answer is one line, without a stack trace."""
    from devenv.errors import StackError

    try:
        app()
    except (StackError, Unavailable) as error:
        _fail(str(error))
    except ValidationError as error:
        for found in error.errors():
            name = "REMIT_" + "_".join(str(part) for part in found["loc"]).upper()
            _say(f"{name}: {found['msg']}")
        raise SystemExit(2) from None


@app.command()
def run() -> None:
    """Run the embedded stack in the foreground: PostgreSQL, Temporal with its Web UI, API and worker. Ctrl-C stops."""
    from devenv.stack import Stack
    from workflows.search_attributes import SEARCH_ATTRIBUTE_TYPES

    stack = Stack(Settings(), prepare, search_attributes=SEARCH_ATTRIBUTE_TYPES, say=_say)
    _await(stack.run_until_stopped())


@app.command()
def demo(
    save_svg: Annotated[Path | None, typer.Option(hidden=True, help="Also save the output as a picture.")] = None,
) -> None:
    """Show what Remit does on embedded servers, and check each claim; exit 0 only if every claim held."""
    from devenv.demo.command import run_demo

    raise SystemExit(0 if _await(run_demo(Settings(), prepare, _say, save_svg)) else 1)


@app.command()
def api(
    with_worker: Annotated[bool, typer.Option(help="Also run a worker in this process: transfers end sooner.")] = False,
) -> None:
    """Serve the HTTP API."""
    from logs import configure_logging
    from serve import serve_api

    settings = _production("database_url", "temporal_address", "jwt_secret")
    configure_logging(settings)
    _await(serve_api(settings, with_worker=with_worker))


@app.command()
def worker() -> None:
    """Run a worker. Start as many as the load needs."""
    from logs import configure_logging
    from serve import run_worker

    settings = _production("database_url", "temporal_address")
    configure_logging(settings)
    _await(run_worker(settings))


@app.command()
def migrate() -> None:
    """Migrate the database to the newest schema; register search attributes and recovery. Safe to repeat."""
    settings = _production("database_url")
    assert settings.database_url is not None
    _await(_migrate(settings.database_url, settings))
    _say("The database has the newest schema.")


@app.command()
def verify() -> None:
    """Check every invariant of the books; exit 1 and name what is broken, 2 where the books cannot be read."""
    from devenv.errors import StackError

    try:
        found = _await(_verify(Settings()))
    except (StackError, Unavailable) as error:
        _fail(" ".join(str(error).split()), status=2)
    _print_audit(found)
    raise SystemExit(0 if found.clean else 1)


@app.command()
def bench(
    quick: Annotated[bool, typer.Option("--quick", help="Fewer cases and rounds: under three minutes.")] = False,
    only: Annotated[str, typer.Option(help="Cases to run, by letter: c,e,f")] = "",
    out: Annotated[Path, typer.Option(help="Where results, tables and charts go.")] = Path(".remit/bench"),
    seed: Annotated[int, typer.Option(help="The seed of the loads: the same seed repeats them.")] = 1,
    report: Annotated[Path | None, typer.Option(help="Measure nothing: print and draw these results.")] = None,
) -> None:
    """Measure transfers against what they could cost, on embedded servers; exit 1 if a case breaks its books."""
    from bench.command import Mistake, run_bench
    from bench.run import BooksBroken
    from bench.traffic.jobs import JobFailed

    try:
        _await(run_bench(prepare, quick=quick, only=only, out=out, seed=seed, report=report))
    except Mistake as mistake:
        _fail(str(mistake), status=2)
    except (BooksBroken, JobFailed) as failure:
        _fail("\n".join([str(failure), *getattr(failure, "__notes__", [])]))


@admin.command()
def create(
    email: Annotated[str, typer.Option(help="The email address to sign in with.")],
    full_name: Annotated[str, typer.Option(help="The full name. A registered customer keeps theirs.")],
    password_stdin: Annotated[bool, typer.Option(help="Read the password from standard input, not a prompt.")] = False,
) -> None:
    """Make a new admin, with a password from a prompt, or make the customer with this address one. Safe to repeat."""
    from staff.permissions import Role

    wanted = {"email": email, "full_name": full_name}
    made = _await(_make_admin(Settings(), **wanted))
    if made is None:
        made = _await(_make_admin(Settings(), **wanted, password=_new_password(from_stdin=password_stdin)))
    assert made is not None, "there was a password to make them with"
    who = f"{made.customer.email} ({made.customer.id})"
    if made.was is None:
        _say(f"{who} is an admin now, and signs in at /v1/auth/login with this password.")
    elif made.was is Role.ADMIN:
        _say(f"{who} is an admin already. Nothing changed.")
    else:
        _say(f"{who} was registered as {made.was} and is an admin now, with name and password as they were.")


async def _make_admin(settings: Settings, **wanted: str) -> "MadeAdmin | None":
    from api.auth.passwords import hash_password
    from api.customers.models import AdminIn
    from staff.postgres.operators import Operators

    try:
        person = AdminIn.model_validate(wanted)
    except ValidationError as error:
        for found in error.errors():
            _say(f"{str(found['loc'][0]).replace('_', '-')}: {found['msg']}")
        raise SystemExit(2) from None
    password_hash = await hash_password(person.password.get_secret_value()) if person.password else None
    async with (
        _database_url(settings) as url,
        Database(url, connections=1, application_name="remit-admin") as database,
    ):
        await database.ping()
        return await Operators(database).make_admin(person.email.lower(), person.full_name, password_hash)


def _new_password(*, from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        _fail("There is no terminal to ask for a password: use --password-stdin.", status=2)
    answer: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return answer


async def _verify(settings: Settings) -> Audit:
    async with (
        _database_url(settings) as url,
        Database(url, connections=1, application_name="remit-verify") as database,
    ):
        return await audit(database)


@asynccontextmanager
async def _database_url(settings: Settings) -> AsyncIterator[str]:
    """The database that the settings name, else that of the running stack, else the embedded one, just for this."""
    from devenv.errors import StackError
    from devenv.home import Home, live_run
    from devenv.servers.postgres_server import PostgresServer

    if settings.database_url is not None:
        yield settings.database_url
    elif running := live_run(settings.home):
        yield running.database_url
    else:
        home = Home(settings.home)
        if not home.postgres.exists():
            raise StackError(f"There are no books yet in {home.path}: set REMIT_DATABASE_URL, or `remit run` first.")
        with home.held():
            postgres = PostgresServer(home.postgres, log=home.log("postgres"), say=_say)
            await postgres.start()
            try:
                yield postgres.url
            finally:
                await postgres.stop()


async def prepare(database_url: str, temporal_address: str) -> None:
    """Migrate and register what an embedded stack needs before its API starts."""
    await _migrate(database_url, Settings(temporal_address=temporal_address))


async def _migrate(database_url: str, settings: Settings) -> None:
    from database.migrations import migrate as migrate_database
    from worker import connect_temporal
    from workflows.registration import register_search_attributes, schedule_recovery

    await _until_it_answers("PostgreSQL", lambda: migrate_database(database_url))
    if settings.temporal_address is not None:

        async def register() -> None:
            client = await connect_temporal(settings)
            await register_search_attributes(client)
            every = timedelta(seconds=settings.recovery_interval_seconds)
            await schedule_recovery(client, settings.task_queue, every)

        await _until_it_answers("Temporal", register)


async def _until_it_answers(name: str, attempt: Callable[[], Awaitable[None]]) -> None:
    """Wait for servers that start at the same time as this command, at most `MIGRATE_WAIT_SECONDS`."""
    from temporalio.service import RPCError

    deadline = asyncio.get_running_loop().time() + MIGRATE_WAIT_SECONDS
    while True:
        try:
            return await attempt()
        except (Unavailable, RuntimeError, RPCError) as error:
            if asyncio.get_running_loop().time() > deadline:
                raise Unavailable(f"{name} does not answer: {error}") from error
            _say(f"{name} does not answer yet: {error}")
            await asyncio.sleep(2)


def _production(*required: str) -> Settings:
    settings = Settings()
    if missing := [f"REMIT_{name.upper()}" for name in required if getattr(settings, name) is None]:
        _fail(f"Set {' and '.join(missing)}. `remit run` needs no settings: it brings its own servers.", status=2)
    return settings


def _print_audit(found: Audit) -> None:
    # In a pipe nothing needs to be cut to the width of a terminal.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
    table = Table(title="The books", title_justify="left")
    for name in ("Currency", "Accounts", "Entries", "Customers hold", "In transit", "World", "Sum"):
        table.add_column(name, justify="left" if name == "Currency" else "right", no_wrap=True)
    for books in found.totals:
        amounts = (books.customers_minor, books.in_transit_minor, books.world_minor)
        texts = [str(Money(amount, books.currency)) for amount in (*amounts, sum(amounts))]
        table.add_row(books.currency, f"{books.accounts:,}", f"{books.entries:,}", *texts)
    console.print(table)
    states = ", ".join(f"{count:,} {state}" for state, count in sorted(found.transfers_by_state.items()))
    console.print(f"Transfers: {states or 'none'}")
    if found.clean:
        console.print("[green]Clean:[/] every invariant holds.")
        return
    console.print(f"[red]Broken:[/] {len(found.broken)} findings.")
    for broken in found.broken:
        console.print(f"  {broken.invariant}: {broken.subject}: {broken.detail}", markup=False, soft_wrap=True)


def _await(work: Coroutine[Any, Any, Result]) -> Result:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - what a person at a terminal reads


def _fail(line: str, status: int = 1) -> NoReturn:
    _say(line)
    raise SystemExit(status)


if __name__ == "__main__":
    main()
