"""A statement as PDF on A4, for people: summary, entries with carried-forward sums, and page n of m.

Measures are whole points. Nothing in the file depends on a clock, on chance or on the machine's fonts.
"""

import io
from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from reportlab.pdfgen.canvas import Canvas

from ledger.money import MINOR_UNIT_DIGITS, Money
from ledger.transfers import Kind, Leg
from statements.renderings.file_contents import PDF_SUBJECT
from statements.renderings.pdf_page import (
    BOLD,
    BOTTOM,
    INK,
    LEFT,
    MUTED,
    NORMAL,
    RIGHT,
    SHADE,
    Sheet,
    grouped,
)
from statements.statement import AccountStatement, StatementLine
from statements.statement_period import moment_text

# Where the columns begin; amounts end at the right edge of theirs.
_DETAILS, _DETAILS_END = LEFT + 62, LEFT + 268
_DEBIT, _CREDIT, _BALANCE = LEFT + 344, LEFT + 421, RIGHT
_AMOUNT_WIDTH = 74

_ROW, _SMALL_ROW, _BETWEEN = 11, 10, 8

_KINDS = {
    Kind.TRANSFER: "Transfer",
    Kind.DEPOSIT: "Deposit",
    Kind.WITHDRAWAL: "Withdrawal",
    Kind.REVERSAL: "Reversal",
    Kind.FUNDING: "Funding",
}
assert _KINDS.keys() == set(Kind)


class PdfStatement:
    """The rendering. All bytes come at the end."""

    def __init__(self, statement: AccountStatement) -> None:
        self._statement = statement
        self._file = io.BytesIO()
        canvas = Canvas(self._file, invariant=1, pageCompression=1, lang="en")
        canvas.setTitle(f"Statement {statement.number} of account {statement.account_number}")
        canvas.setAuthor(statement.bank_name)
        canvas.setSubject(PDF_SUBJECT.format(account_id=statement.account_id, number=statement.number))
        canvas.setCreator("Remit")
        self._sheet = Sheet(canvas)
        self._zone = ZoneInfo(statement.time_zone)
        self._debits = self._credits = 0
        self._balance = statement.opening_minor
        self._y = 0

    def begin(self) -> bytes:
        """The first page's head: who keeps the account, whose it is, and what the period comes to."""
        of, sheet = self._statement, self._sheet
        self._y = sheet.letterhead(of.bank_name, of.bank_address.split("\n"), "Account statement", f"No. {of.number}")
        self._facts()
        self._summary()
        self._heads()
        self._sums("Opening balance", with_sums=False)
        return b""

    def add(self, lines: Sequence[StatementLine]) -> bytes:
        """The next entries."""
        for line in lines:
            self._entry(line)
        return b""

    def end(self) -> bytes:
        """The closing, and how anybody can check the statement."""
        of, sheet = self._statement, self._sheet
        if self._y - 2 * _ROW - 56 < BOTTOM:
            self._turn()
        self._sums("Closing balance", with_sums=True)
        self._y -= 22
        proof = (
            f"Entries {of.from_version:,} to {of.to_version:,} of account {of.account_id}."
            if of.lines
            else f"No entries; account {of.account_id}.",
            f"Hash of the last entry: {of.head_hash.hex()}",
            f"Made on {moment_text(of.made_at, of.time_zone)}. The bank can compare this file with its books.",
        )
        for text in proof:
            sheet.text(LEFT, self._y, text, NORMAL, 7, MUTED)
            self._y -= _SMALL_ROW
        self._foot()
        sheet.end()
        return self._file.getvalue()

    def _facts(self) -> None:
        of, sheet = self._statement, self._sheet
        top = self._y
        sheet.text(LEFT, top, of.holder_name, BOLD, 11, INK, width=_DETAILS_END - LEFT)
        sheet.text(LEFT, top - 15, f"Account {grouped(of.account_number)}", NORMAL, 9, INK)
        for place, (name, value) in enumerate(
            (
                ("Period", of.period),
                ("Currency", of.currency),
                ("Times in", of.time_zone),
            )
        ):
            sheet.text(_DETAILS_END + 2, top - 13 * place, name, NORMAL, 8, MUTED)
            sheet.text(_DETAILS_END + 50, top - 13 * place, value, NORMAL, 8, INK, width=RIGHT - _DETAILS_END - 50)
        self._y = top - 52

    def _summary(self) -> None:
        of, sheet = self._statement, self._sheet
        quarter = (RIGHT - LEFT) // 4
        sheet.box(LEFT, self._y - 30, RIGHT - LEFT, 46, SHADE)
        for place, (name, amount_minor) in enumerate(
            (
                ("Opening balance", of.opening_minor),
                (f"Paid in ({of.credits:,})", of.credits_minor),
                (f"Paid out ({of.debits:,})", of.debits_minor),
                ("Closing balance", of.closing_minor),
            )
        ):
            x = LEFT + 10 + quarter * place
            sheet.text(x, self._y, name, NORMAL, 8, MUTED)
            sheet.text(x, self._y - 17, str(Money(amount_minor, of.currency)), BOLD, 11, INK, width=quarter - 14)
        self._y -= 56

    def _heads(self) -> None:
        sheet = self._sheet
        for x, name in ((LEFT, "Date"), (_DETAILS, "Details")):
            sheet.text(x, self._y, name, BOLD, 8, INK)
        for x, name in ((_DEBIT, "Paid out"), (_CREDIT, "Paid in"), (_BALANCE, "Balance")):
            sheet.right_text(x, self._y, name, BOLD, 8, INK)
        sheet.line(self._y - 6, INK)
        self._y -= 20

    def _sums(self, name: str, *, with_sums: bool) -> None:
        """A row for the balance, and with it what was paid out and in until here."""
        self._sheet.text(_DETAILS, self._y, name, BOLD, 8, INK)
        if with_sums:
            self._amount(_DEBIT, self._debits, BOLD)
            self._amount(_CREDIT, self._credits, BOLD)
        self._amount(_BALANCE, self._balance, BOLD)
        self._sheet.rule(self._y - 6)
        self._y -= _ROW + _BETWEEN

    def _entry(self, line: StatementLine) -> None:
        sheet = self._sheet
        notes = sheet.wrapped(line.note, NORMAL, 7, _DETAILS_END - _DETAILS) if line.note else []
        names = line.transfer_id if line.reference is None else f"{line.transfer_id} · {line.reference}"
        height = _ROW + _SMALL_ROW * (len(notes) + 1)
        if self._y - height - _BETWEEN - _ROW < BOTTOM:
            self._turn()
        day, clock = self._when(line.recorded_at)
        # One style after the other: each change of it costs as much as a text.
        sheet.text(LEFT, self._y, day, NORMAL, 8, INK)
        sheet.text(_DETAILS, self._y, _description(line), NORMAL, 8, INK)
        if line.amount_minor < 0:
            self._debits -= line.amount_minor
            self._amount(_DEBIT, -line.amount_minor)
        else:
            self._credits += line.amount_minor
            self._amount(_CREDIT, line.amount_minor)
        self._balance = line.balance_after
        self._amount(_BALANCE, self._balance)
        y = self._y - _SMALL_ROW
        sheet.text(LEFT, y, clock, NORMAL, 7, MUTED)
        for note in notes:
            sheet.text(_DETAILS, y, note, NORMAL, 7, MUTED)
            y -= _SMALL_ROW
        sheet.text(_DETAILS, y, names, NORMAL, 7, MUTED, width=_DETAILS_END - _DETAILS)
        self._y -= height + _BETWEEN
        sheet.rule(self._y + _ROW + 1)

    def _turn(self) -> None:
        """Carry the sums to the next page."""
        of, sheet = self._statement, self._sheet
        self._sums("Carried forward", with_sums=True)
        self._foot()
        sheet.turn()
        self._y = sheet.running_head(of.bank_name, f"{grouped(of.account_number)}  ·  {of.period}")
        self._heads()
        self._sums("Brought forward", with_sums=True)

    def _foot(self) -> None:
        of = self._statement
        self._sheet.foot(f"Statement {of.number} of account {grouped(of.account_number)}, {of.currency}")

    def _amount(self, x: int, amount_minor: int, font: str = NORMAL) -> None:
        self._sheet.right_text(x, self._y, self._figure(amount_minor), font, 8, INK, width=_AMOUNT_WIDTH)

    def _figure(self, amount_minor: int) -> str:
        """`1,255.00`: the currency stands once, above."""
        digits = MINOR_UNIT_DIGITS[self._statement.currency]
        major, minor = divmod(abs(amount_minor), 10**digits)
        fraction = f".{minor:0{digits}d}" if digits else ""
        return f"{'−' if amount_minor < 0 else ''}{major:,}{fraction}"  # noqa: RUF001 - the sign of typography

    def _when(self, moment: datetime) -> tuple[str, str]:
        local = moment.astimezone(self._zone)
        return f"{local.day:02d} {_MONTHS[local.month - 1]} {local.year}", f"{local:%H:%M}"


def _description(line: StatementLine) -> str:
    """What the entry is, in a few words."""
    kind = _KINDS[line.kind]
    if line.counterparty is None:
        return f"{kind}, returned" if line.leg is Leg.REFUND else kind
    other = grouped(line.counterparty)
    if line.leg is Leg.REFUND:
        return f"{kind} to {other}, returned"
    return f"{kind} {'to' if line.amount_minor < 0 else 'from'} {other}"


_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
