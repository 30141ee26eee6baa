"""`remit verify --statement`: whether a statement that somebody brings is what the books say."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from cli.console import fail, run_async
from cli.database_choice import chosen_database_url
from settings import Settings

if TYPE_CHECKING:
    from statements.postgres.file_checks import CheckedFile


def check_statement(file: Path, *, as_json: bool) -> NoReturn:
    """Compare and end the process: 0, the file is as the books have it; 1, it is not; 2, nobody could look."""
    from database.connections import Unavailable
    from devenv.errors import StackError
    from statements.renderings.file_contents import FileNotRead

    try:
        found = run_async(_checked(file.read_bytes(), Settings()))
    except (FileNotRead, StackError, Unavailable, OSError) as error:
        fail(" ".join(str(error).split()), status=2)
    if as_json:
        report = {"clean": not found.differences, "statement": str(found.key), "differences": found.differences}
        print(json.dumps(report))  # noqa: T201 - the result
    else:
        print(found)  # noqa: T201 - the result
    raise SystemExit(1 if found.differences else 0)


async def _checked(file: bytes, settings: Settings) -> "CheckedFile":
    from database.connections import Database
    from statements.postgres.account_statements import AccountStatements
    from statements.postgres.file_checks import check_file

    async with (
        chosen_database_url(settings) as url,
        Database(url, connections=1, application_name="remit-verify") as database,
    ):
        return await check_file(AccountStatements(database, settings.statement_terms()), file)
