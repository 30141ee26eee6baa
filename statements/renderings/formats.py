"""Statements in every format, and files that somebody brings read again."""

import csv
from collections.abc import Callable, Mapping

from statements.renderings.camt import CamtStatement, read_camt
from statements.renderings.csv_file import CsvStatement, read_csv
from statements.renderings.file_contents import FileContents, FileNotRead, statement_named_in, well_formed
from statements.renderings.json_file import JsonStatement, read_json
from statements.renderings.statement_format import Rendering, StatementFormat
from statements.statement import AccountStatement, StatementKey, StatementTooLong

# A PDF is put together in memory, and nobody reads thousands of pages.
MOST_PDF_LINES = 100_000


def _pdf(statement: AccountStatement) -> Rendering:
    # Its library takes a tenth of a second to import: each process of Remit would pay for it.
    from statements.renderings.pdf import PdfStatement  # noqa: PLC0415

    return PdfStatement(statement)


_RENDERINGS: Mapping[StatementFormat, Callable[[AccountStatement], Rendering]] = {
    StatementFormat.CSV: CsvStatement,
    StatementFormat.JSON: JsonStatement,
    StatementFormat.PDF: _pdf,
    StatementFormat.XML: CamtStatement,
}
assert _RENDERINGS.keys() == set(StatementFormat)

_READERS: Mapping[StatementFormat, Callable[[bytes], FileContents]] = {
    StatementFormat.CSV: read_csv,
    StatementFormat.JSON: read_json,
    StatementFormat.XML: read_camt,
}

# What reading any other file may raise: somebody has edited it, or cut it off, or it never was a statement.
_NO_STATEMENT = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    SyntaxError,
    TypeError,
    ValueError,
    csv.Error,
)


def rendering_of(statement: AccountStatement, format_: StatementFormat) -> Rendering:
    """The statement in this format. Raises `StatementTooLong` for a PDF that nobody could hold."""
    if format_ is StatementFormat.PDF and statement.lines > MOST_PDF_LINES:
        raise StatementTooLong(statement.lines, MOST_PDF_LINES)
    return _RENDERINGS[format_](statement)


def format_of(file: bytes) -> StatementFormat:
    """Which format the file is in, by how it begins."""
    beginnings = {b"%PDF": StatementFormat.PDF, b"<": StatementFormat.XML, b"{": StatementFormat.JSON}
    return next((each for begins, each in beginnings.items() if file.startswith(begins)), StatementFormat.CSV)


def key_in(file: bytes) -> StatementKey:
    """Which statement the file says that it is. Raises `FileNotRead`."""
    if format_of(file) is not StatementFormat.PDF:
        return contents_of(file).key
    found = statement_named_in(file)
    if found is None:
        raise FileNotRead("This PDF is no statement of Remit's.")
    return found


def contents_of(file: bytes) -> FileContents:
    """What the file says, in any format but PDF. Raises `FileNotRead`."""
    format_ = format_of(file)
    try:
        return well_formed(_READERS[format_](file))
    except _NO_STATEMENT as error:
        raise FileNotRead(f"This is no statement as {format_}: {error}") from error
