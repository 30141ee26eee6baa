"""Statements that somebody brings, compared with the books."""

from collections.abc import Iterator
from dataclasses import dataclass

from ledger.chain import entry_hash
from ledger.refusals import EntriesBroken
from statements.postgres.account_statements import AccountStatements
from statements.renderings.file_contents import FileContents, FileLine
from statements.renderings.formats import contents_of, format_of, key_in, rendering_of
from statements.renderings.statement_format import StatementFormat, whole
from statements.statement import AccountStatement, StatementKey, StatementLine

# A list without an end helps nobody.
MOST_DIFFERENCES = 50


@dataclass(frozen=True, slots=True)
class CheckedFile:
    """Which statement the file says that it is, and a sentence for each thing that is not as the books have it."""

    key: StatementKey
    differences: list[str]

    def __str__(self) -> str:
        title = f"Statement {self.key.number} of {self.key.account_id}"
        if not self.differences:
            return f"{title}: the file is what the books say, byte by byte."
        return "\n".join(
            [f"{title}: the file is not what the books say.", *(f"  {difference}" for difference in self.differences)]
        )


async def check_file(statements: AccountStatements, file: bytes) -> CheckedFile:
    """Compare a file in any format with the books: its numbers, sums and hashes, and at last each byte.

    The statement's entries are proved as well, by the chain of their hashes. Raises `FileNotRead` for what is no
    statement, and `Unavailable` where PostgreSQL gave no answer.
    """
    key = key_in(file)
    statement = await statements.find(key)
    if statement is None:
        return CheckedFile(key, ["the books have no such statement"])
    if statement.ready_at is None:
        return CheckedFile(key, ["the books are still adding this statement up"])
    try:
        lines = [line async for batch in statements.lines(statement) for line in batch]
    except EntriesBroken as broken:
        return CheckedFile(key, [str(broken)])
    return CheckedFile(key, list(_differences(file, statement, lines))[:MOST_DIFFERENCES])


def _differences(file: bytes, statement: AccountStatement, lines: list[StatementLine]) -> Iterator[str]:
    yield from _broken(statement, lines)
    format_ = format_of(file)
    if format_ is not StatementFormat.PDF:
        books = FileContents.of(statement, [FileLine.of(line) for line in lines])
        yield from contents_of(file).differences(books)
    true = whole(rendering_of(statement, format_), [lines])
    if file != true:
        same = next((at for at, pair in enumerate(zip(file, true, strict=False)) if pair[0] != pair[1]), None)
        where = (
            f"from byte {same + 1:,} on" if same is not None else f"in length: {len(file):,} bytes for {len(true):,}"
        )
        yield f"the file differs from the books' own {format_.upper()} {where}"


def _broken(statement: AccountStatement, lines: list[StatementLine]) -> Iterator[str]:
    """What is wrong with the books themselves: the chain of hashes, and the sums."""
    previous, balance = statement.opening_hash, statement.opening_minor
    for line in lines:
        previous = entry_hash(
            previous,
            statement.account_id,
            line.version,
            line.posting_id,
            line.amount_minor,
            line.balance_before,
            line.balance_after,
            line.recorded_at,
        )
        balance += line.amount_minor
        if previous != line.hash or line.balance_after != balance:
            yield f"the books' entry {line.version} is not what was written: run `remit verify`"
            return
    if previous != statement.head_hash or balance != statement.closing_minor:
        yield "the books' entries do not lead to the statement's closing: run `remit verify`"
    credits_minor = sum(line.amount_minor for line in lines if line.amount_minor > 0)
    if credits_minor != statement.credits_minor or credits_minor - statement.debits_minor != balance - (
        statement.opening_minor
    ):
        yield "the books' entries do not come to the statement's sums: run `remit verify`"
