"""`remit rules`: try screening rules before they count."""

import json
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from cli.console import fail, run_async, say
from cli.database_choice import peoples_database
from database.connections import Unavailable
from settings import Settings

if TYPE_CHECKING:
    from screening.dry_run import DryRun
    from screening.rule_sets import RuleSet

app = typer.Typer(help="Try screening rules before they count.", no_args_is_help=True)

# How often the progress is shown.
PROGRESS_EVERY_SECONDS = 2


@app.callback()
def rules() -> None:
    """Try screening rules before they count."""


@app.command(name="dry-run")
def dry_run(
    days: Annotated[int, typer.Option(min=1, max=366, help="How far back transfers are looked at.")] = 7,
    file: Annotated[Path | None, typer.Option(help="The rules to try; without it, the rules in force.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
) -> None:
    """Show what rules would have done to past transfers. It changes nothing. Exit 2 where the rules cannot be read."""
    from devenv.errors import StackError
    from rule_files import rule_set_in_file
    from screening.rule_sets import RulesInvalid

    try:
        given = rule_set_in_file(file) if file is not None else None
        rule_set, found = run_async(_run(Settings(), given, timedelta(days=days)))
    except RulesInvalid as invalid:
        fail("\n".join(invalid.errors), status=2)
    except (StackError, Unavailable) as error:
        fail(" ".join(str(error).split()), status=2)
    if as_json:
        print(json.dumps(_as_json(rule_set, found)))  # noqa: T201 - the result
    else:
        _print(rule_set, found, days)


async def _run(settings: Settings, given: "RuleSet | None", within: timedelta) -> "tuple[RuleSet, DryRun]":
    from rule_files import configured_rules
    from screening.dry_run import DryRun
    from screening.postgres.past_transfers import PastTransfers
    from screening.postgres.rule_sets import RuleSets
    from screening.postgres.rules_in_force import InForce, read_lists
    from screening.rule_sets import rule_set_in

    async with peoples_database(settings, "remit-rules") as database:
        rule_set = given
        if rule_set is None:
            is_fixed = settings.rules_file is not None
            now = RuleSets(database, configured_rules(settings), timedelta(0), is_fixed=is_fixed)
            rule_set = rule_set_in((await now.now()).rules)
        async with database.connection() as connection:
            lists = await read_lists(connection)
        past = PastTransfers(database, InForce(rule_set, lists))
        total, found = await past.count(within), DryRun(rule_set.rules)
        shown_at = time.monotonic()
        async for transfer, facts in past.read(within):
            found.add(transfer, facts)
            if time.monotonic() - shown_at >= PROGRESS_EVERY_SECONDS:
                shown_at = time.monotonic()
                say(f"{found.transfers:,} of {total:,} transfers")
    return rule_set, found


def _as_json(rule_set: "RuleSet", found: "DryRun") -> dict[str, Any]:
    return {
        "rule_set_id": rule_set.id,
        "transfers": found.transfers,
        "outcomes": [
            {"was": was.label, "would_be": would.label, "transfers": count}
            for (was, would), count in sorted(found.outcomes.items())
        ],
        "by_rule": dict(found.by_rule.most_common()),
        "examples": [
            {
                "transfer_id": each.transfer.order.transfer_id,
                "was": was.label,
                "would_be": would.label,
                "codes": each.codes,
            }
            for (was, would), kept in sorted(found.examples.items())
            for each in kept
        ],
    }


def _print(rule_set: "RuleSet", found: "DryRun", days: int) -> None:
    # In a pipe nothing needs to be cut to the width of a terminal.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
    title = f"{found.transfers:,} transfers of {days} days under {rule_set.id}"
    table = Table(title=title, title_justify="left")
    for name in ("Was", "Would be", "Transfers"):
        table.add_column(name, justify="right" if name == "Transfers" else "left", no_wrap=True)
    for (was, would), count in sorted(found.outcomes.items()):
        table.add_row(was.label, would.label if was is not would else "the same", f"{count:,}")
    console.print(table)
    counts = ", ".join(f"{code} {count:,}" for code, count in found.by_rule.most_common())
    console.print(f"By rule: {counts or 'none found anything'}", markup=False, soft_wrap=True)
    for (was, would), kept in sorted(found.examples.items()):
        console.print(f"\n{was.label} → {would.label}, for example:", markup=False)
        for each in kept:
            order = each.transfer.order
            line = (
                f"  {order.transfer_id} {order.kind} of {order.amount}: {' '.join(each.reasons) or 'no rule objects'}"
            )
            console.print(line, markup=False, soft_wrap=True)
