"""A command costs what it needs itself: the list of commands imports none of them."""

import inspect
import subprocess
import sys

import pytest

from cli.main import COMMANDS

HEAVY = {"asyncpg", "cryptography", "fastapi", "pydantic", "sqlalchemy", "strawberry", "structlog", "temporalio"}


def imported_by(code: str) -> set[str]:
    """The packages that a new process has after this code."""
    told = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules)"], capture_output=True, text=True, check=True
    )
    return set(told.stdout.split())


def test_the_list_of_commands_imports_none_of_them() -> None:
    assert imported_by("import cli.main") & HEAVY == set()


def test_a_health_check_imports_neither_the_worker_nor_the_database() -> None:
    found = imported_by("import settings, temporal_client")
    assert found & {"worker", "sqlalchemy", "asyncpg", "fastapi"} == set()


def test_commands_that_people_read_the_books_with_load_no_server() -> None:
    found = imported_by("import cli.overview.status, cli.overview.temporal_view, cli.verify, key_rings")
    assert found & {"worker", "serve", "fastapi", "strawberry"} == set()


@pytest.mark.parametrize("name", COMMANDS)
def test_the_summary_of_a_command_is_what_its_own_help_says_first(name: str) -> None:
    help_text = inspect.cleandoc(COMMANDS[name].load().help or "")
    assert help_text.split("\n\n")[0].replace("\n", " ") == COMMANDS[name].summary
