"""A statement as CSV (RFC 4180): one row an entry, between a row for the opening and one for the closing.

Each row names account and statement, so that files can be put together. A text that a spreadsheet would take for a
formula gets an apostrophe in front.
"""

import csv
import io
from collections.abc import Sequence
from datetime import UTC, datetime

from ledger.ids import AccountId
from statements.renderings.file_contents import FileContents, FileLine
from statements.renderings.statement_format import decimal, minor_in
from statements.statement import AccountStatement, StatementKey, StatementLine
from statements.statement_period import local_day

COLUMNS = (
    "account_id",
    "statement",
    "record",
    "version",
    "date",
    "recorded_at",
    "transfer_id",
    "attempt",
    "leg",
    "kind",
    "counterparty",
    "reference",
    "note",
    "debit",
    "credit",
    "balance",
    "currency",
    "hash",
)

# The last four are the same signs in full width, which spreadsheets read alike. A text that begins with an apostrophe
# gets one more, so that the guard can be taken off again.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "'", "＝", "＋", "－", "＠")  # noqa: RUF001 - the signs themselves


def guarded(text: str | None) -> str:
    """The text as a cell that no spreadsheet computes."""
    return f"'{text}" if text and text.startswith(_FORMULA) else text or ""


def unguarded(cell: str) -> str | None:
    """The text of a guarded cell; None: there was none."""
    return (cell.removeprefix("'")) or None


def utc_text(moment: datetime) -> str:
    """`2026-11-22T07:30:00.000000Z`: always of the same length."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"


class CsvStatement:
    """The rendering. `debit` and `credit` of the closing row are the sums of both."""

    def __init__(self, statement: AccountStatement) -> None:
        self._statement = statement
        self._text = io.StringIO(newline="")
        self._writer = csv.writer(self._text)

    def begin(self) -> bytes:
        """The names of the columns, and the opening."""
        of = self._statement
        self._writer.writerow(COLUMNS)
        self._balance_line("opening", of.from_version - 1, of.begins_at, "", "", of.opening_minor, of.opening_hash)
        return self._written()

    def add(self, lines: Sequence[StatementLine]) -> bytes:
        """A row for each."""
        of = self._statement
        for line in lines:
            amount = decimal(abs(line.amount_minor), of.currency)
            self._writer.writerow(
                (
                    of.account_id,
                    of.number,
                    "entry",
                    line.version,
                    local_day(line.recorded_at, of.time_zone),
                    utc_text(line.recorded_at),
                    line.transfer_id,
                    line.attempt,
                    line.leg,
                    line.kind,
                    line.counterparty or "",
                    guarded(line.reference),
                    guarded(line.note),
                    amount if line.amount_minor < 0 else "",
                    amount if line.amount_minor > 0 else "",
                    decimal(line.balance_after, of.currency),
                    of.currency,
                    line.hash.hex(),
                )
            )
        return self._written()

    def end(self) -> bytes:
        """The closing, with the sums."""
        of = self._statement
        debits, credits_ = decimal(of.debits_minor, of.currency), decimal(of.credits_minor, of.currency)
        self._balance_line("closing", of.to_version, of.ends_at, debits, credits_, of.closing_minor, of.head_hash)
        return self._written()

    def _balance_line(
        self, record: str, version: int, at: datetime, debit: str, credit: str, balance_minor: int, hash_: bytes
    ) -> None:
        of = self._statement
        day = local_day(at, of.time_zone)
        shown = (of.account_id, of.number, record, version, day, utc_text(at), *[""] * 7, debit, credit)
        self._writer.writerow((*shown, decimal(balance_minor, of.currency), of.currency, hash_.hex()))

    def _written(self) -> bytes:
        found = self._text.getvalue().encode()
        self._text.seek(0)
        self._text.truncate()
        return found


def read_csv(file: bytes) -> FileContents:
    """What such a file says. Raises `ValueError`, `KeyError` or `IndexError` for any other."""
    rows = list(csv.DictReader(io.StringIO(file.decode("utf-8-sig"), newline="")))
    opening, closing = rows[0], rows[-1]
    if (opening["record"], closing["record"]) != ("opening", "closing"):
        raise ValueError("the first row must be the opening, and the last one the closing")
    currency = opening["currency"]
    return FileContents(
        key=StatementKey(AccountId(opening["account_id"]), int(opening["statement"])),
        currency=currency,
        from_version=int(opening["version"]) + 1,
        to_version=int(closing["version"]),
        opening_minor=minor_in(opening["balance"], currency),
        credits_minor=minor_in(closing["credit"], currency),
        debits_minor=minor_in(closing["debit"], currency),
        closing_minor=minor_in(closing["balance"], currency),
        opening_hash=opening["hash"],
        head_hash=closing["hash"],
        lines=[
            FileLine(
                int(row["version"]),
                row["transfer_id"],
                minor_in(row["credit"], currency) if row["credit"] else -minor_in(row["debit"], currency),
            )
            for row in rows[1:-1]
        ],
    )
