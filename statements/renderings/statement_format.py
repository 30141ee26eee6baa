"""What a rendering of a statement is: bytes that come in parts, and are the same whenever they are made."""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Protocol

from ledger.money import MINOR_UNIT_DIGITS
from statements.statement import StatementLine


class StatementFormat(StrEnum):
    """In which forms a statement can be had. All say the same."""

    CSV = "csv"
    JSON = "json"
    PDF = "pdf"
    XML = "xml"


MEDIA_TYPES = {
    StatementFormat.CSV: "text/csv; charset=utf-8",
    StatementFormat.JSON: "application/json",
    StatementFormat.PDF: "application/pdf",
    StatementFormat.XML: "application/xml",
}


class Rendering(Protocol):
    """One statement in one format. Its methods are called in this order; each returns the bytes that are ready."""

    def begin(self) -> bytes:
        """What comes before the lines."""

    def add(self, lines: Sequence[StatementLine]) -> bytes:
        """The next lines."""

    def end(self) -> bytes:
        """What comes behind the lines."""


def whole(rendering: Rendering, batches: Iterable[Sequence[StatementLine]]) -> bytes:
    """All of it, in memory."""
    return b"".join((rendering.begin(), *(rendering.add(lines) for lines in batches), rendering.end()))


def decimal(amount_minor: int, currency: str) -> str:
    """`1255.00`, `-0.05`, `1200`: in the currency's major unit, without separators, as machines read it."""
    digits = MINOR_UNIT_DIGITS[currency]
    major, minor = divmod(abs(amount_minor), 10**digits)
    fraction = f".{minor:0{digits}d}" if digits else ""
    return f"{'-' if amount_minor < 0 else ''}{major}{fraction}"


def minor_in(text: str, currency: str) -> int:
    """The inverse of `decimal`. Raises `ValueError` for what it does not write."""
    major, _, fraction = text.removeprefix("-").partition(".")
    digits = MINOR_UNIT_DIGITS[currency]
    if not major.isdecimal() or len(fraction) != digits or (digits and not fraction.isdecimal()):
        raise ValueError(f"{text!r} is no amount in {currency}")
    amount: int = int(major) * 10**digits + int(fraction or "0")
    return -amount if text.startswith("-") else amount
