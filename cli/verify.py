"""`remit verify`: whether the books are clean."""

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from cli.books.account_statement import check_statement
from cli.console import fail, run_async
from cli.database_choice import chosen_database_url
from database.connections import PROOFS, Database, Unavailable
from ledger.money import Money
from ledger.postgres.audit import Audit, AuditInProgress, Broken, audit
from settings import Settings

if TYPE_CHECKING:
    from database.trail.signatures import Signatures
    from ledger.fingerprints import Fingerprints


def verify(
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
    full: Annotated[
        bool, typer.Option("--full", help="Check everything, also what earlier audits found clean. Takes minutes.")
    ] = False,
    statement: Annotated[
        Path | None,
        typer.Option(
            "--statement", help="Compare this statement of an account, in any format, with the books instead."
        ),
    ] = None,
) -> None:
    """Check every invariant of the books; exit 1 and name what is broken, 2 where the books cannot be read."""
    from devenv.errors import StackError

    if statement is not None:
        check_statement(statement, as_json=as_json)
    try:
        found = run_async(_audit(Settings(), full=full))
    except (StackError, Unavailable, AuditInProgress) as error:
        fail(" ".join(str(error).split()), status=2)
    if as_json:
        print(json.dumps({"clean": found.clean, **asdict(found)}, default=str))  # noqa: T201 - the result
    else:
        _print(found)
    raise SystemExit(0 if found.clean else 1)


async def _audit(settings: Settings, *, full: bool) -> Audit:
    from events.postgres.invariants import verify_events
    from trail.exports import exported_heads
    from trail.postgres.verification import verify_trails

    signatures = _signatures(settings)
    async with (
        chosen_database_url(settings) as url,
        Database(url, connections=1, application_name="remit-verify", limits=PROOFS) as database,
    ):
        found = await audit(database, _fingerprints(settings), full=full, limit_seconds=settings.audit_timeout_seconds)
        of_trails = await verify_trails(database, signatures, exported_heads(settings.audit_folder), full=full)
        of_events = await verify_events(database, full=full)
        broken = [Broken(**asdict(one)) for one in of_trails] + [Broken(**asdict(one)) for one in of_events]
        return replace(found, broken=[*found.broken, *broken])


def _fingerprints(settings: Settings) -> "Fingerprints | None":
    """What checks the books' fingerprints: with the keys of the settings, or of the embedded stack; None without."""
    from devenv.home import Home
    from key_rings import fingerprints_from
    from ledger.fingerprints import Fingerprints

    if settings.fingerprint_keys is not None:
        return fingerprints_from(settings)
    return None if settings.database_url is not None else Fingerprints([Home(settings.home).fingerprint_key()])


def _signatures(settings: Settings) -> "Signatures | None":
    """What checks the seals of the audit trail, with the same keys as the process that signs them; None without."""
    from database.trail.signatures import Signatures
    from devenv.home import Home
    from key_rings import signatures_from

    if settings.audit_keys is not None or settings.fingerprint_keys is not None:
        return signatures_from(settings)
    return None if settings.database_url is not None else Signatures([Home(settings.home).fingerprint_key()])


def _print(found: Audit) -> None:
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
    if not found.fingerprints_checked:
        console.print("Orders were not compared with their fingerprints: set REMIT_FINGERPRINT_KEYS.")
        console.print("Nor were the seals of the audit trail with their signatures.")
    if found.since is not None:
        since = f"{found.since:%Y-%m-%d %H:%M:%S} UTC"
        console.print(f"Looked at what was recorded since {since}, and at every balance. `--full` looks at everything.")
    if found.clean:
        console.print("[green]Clean:[/] every invariant holds.")
        return
    console.print(f"[red]Broken:[/] {len(found.broken)} findings.")
    for broken in found.broken:
        console.print(f"  {broken.invariant}: {broken.subject}: {broken.detail}", markup=False, soft_wrap=True)
