"""What `remit bench` does with its options."""

import sys
from pathlib import Path

from bench.cases import FULL_PROFILE, LETTERS, QUICK_PROFILE, narrowed
from bench.main import measure
from bench.tables import print_results
from devenv.stack import Prepare


class Mistake(Exception):
    """An option that cannot be meant so."""


async def run_bench(prepare: Prepare, *, quick: bool, only: str, out: Path, seed: int) -> None:
    """Measure, and print what came out. Raises `Mistake` before anything is started."""
    letters = [letter.strip() for letter in only.split(",") if letter.strip()]
    if unknown := [letter for letter in letters if letter not in LETTERS]:
        raise Mistake(f"--only {','.join(unknown)}: the cases are {', '.join(LETTERS)}.")
    profile = narrowed(QUICK_PROFILE if quick else FULL_PROFILE, letters)
    command = " ".join(["remit", *sys.argv[1:]])
    print_results(await measure(profile, prepare, out, seed, command))
