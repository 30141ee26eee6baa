"""What a statement says, read from a file: enough to compare it with the books."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields

from ledger.ids import ACCOUNT_ID, AccountId
from statements.statement import AccountStatement, StatementKey, StatementLine

# By this line of a PDF whoever has it finds the statement that it is.
PDF_SUBJECT = "remit-statement {account_id} {number}"

_NUMBER = re.compile(r"[0-9]{1,15}")

# Of a `BIGINT`, without its sign.
_MOST_BITS = 63


class FileNotRead(Exception):
    """A file is no statement in a format that is known."""


@dataclass(frozen=True, slots=True)
class FileLine:
    """One entry. `amount_minor` is signed."""

    version: int
    transfer_id: str
    amount_minor: int

    @classmethod
    def of(cls, line: StatementLine) -> "FileLine":
        """What a file says of it."""
        return cls(line.version, line.transfer_id, line.amount_minor)

    def __str__(self) -> str:
        """As a difference names it."""
        return f"{self.amount_minor} by {self.transfer_id}"


@dataclass(frozen=True, slots=True)
class FileContents:
    """All that every format but PDF says in a form that machines read."""

    key: StatementKey
    currency: str
    from_version: int
    to_version: int
    opening_minor: int
    credits_minor: int
    debits_minor: int
    closing_minor: int
    opening_hash: str
    head_hash: str
    lines: list[FileLine]

    @classmethod
    def of(cls, statement: AccountStatement, lines: list[FileLine]) -> "FileContents":
        """What a file of this statement says."""
        return cls(
            key=statement.key,
            currency=statement.currency,
            from_version=statement.from_version,
            to_version=statement.to_version,
            opening_minor=statement.opening_minor,
            credits_minor=statement.credits_minor,
            debits_minor=statement.debits_minor,
            closing_minor=statement.closing_minor,
            opening_hash=statement.opening_hash.hex(),
            head_hash=statement.head_hash.hex(),
            lines=lines,
        )

    def differences(self, books: "FileContents") -> Iterator[str]:
        """A sentence for each value that is another one in the books, and for each line, by its version."""
        for name in (field.name for field in fields(self) if field.name != "lines"):
            claimed, true = getattr(self, name), getattr(books, name)
            if claimed != true:
                yield f"{name} is {claimed}; the books have {true}"
        claimed_lines = {line.version: line for line in self.lines}
        true_lines = {line.version: line for line in books.lines}
        if len(claimed_lines) != len(self.lines):
            yield "an entry occurs twice"
        for version in sorted(claimed_lines.keys() | true_lines.keys()):
            claimed, true = claimed_lines.get(version), true_lines.get(version)
            if claimed != true:
                yield f"entry {version} is {claimed or 'missing'}; the books have {true or 'no such entry'}"
        if self.opening_minor + sum(line.amount_minor for line in self.lines) != self.closing_minor:
            yield "opening, credits and debits do not come to the closing"


def well_formed(contents: FileContents) -> FileContents:
    """What a file says, if each value could be one of the books. Raises `ValueError`."""
    of = (contents.key.number, contents.from_version, contents.to_version)
    sums = (contents.opening_minor, contents.credits_minor, contents.debits_minor, contents.closing_minor)
    of_lines = (number for line in contents.lines for number in (line.version, line.amount_minor))
    for number in (*of, *sums, *of_lines):
        if type(number) is not int or number.bit_length() > _MOST_BITS:
            raise ValueError(f"{number!r:.40} is no number of a statement")
    for text in (
        contents.currency,
        contents.opening_hash,
        contents.head_hash,
        *(line.transfer_id for line in contents.lines),
    ):
        if not isinstance(text, str):
            raise ValueError(f"{text!r:.40} is no text")  # noqa: TRY004 - of a file, every fault is one of its values
    if ACCOUNT_ID.fullmatch(contents.key.account_id) is None:
        raise ValueError(f"{contents.key.account_id!r:.40} is no account")
    return contents


def statement_named_in(file: bytes) -> StatementKey | None:
    """Which statement a PDF says that it is; None: it is none of ours."""
    mark = PDF_SUBJECT.split("{", maxsplit=1)[0].encode()
    _, found, behind = file.partition(b"(" + mark)
    words = behind[:100].partition(b")")[0].decode("ascii", "replace").split()
    if not found or len(words) != 2 or not ACCOUNT_ID.fullmatch(words[0]) or not _NUMBER.fullmatch(words[1]):  # noqa: PLR2004 - the id and the number
        return None
    return StatementKey(AccountId(words[0]), int(words[1]))
