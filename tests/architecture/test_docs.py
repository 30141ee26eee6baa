"""The documentation names every setting, code and command; its links lead somewhere; its pages stay short."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.http.problems import PROBLEMS
from cli.main import COMMANDS
from ledger.refusals import REFUSAL_CODES
from ledger.transfers import State
from settings import Settings
from workflows.search_attributes import SEARCH_ATTRIBUTE_TYPES

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
REFERENCE = "\n".join(page.read_text() for page in sorted((ROOT / "docs" / "reference").glob("*.md")))
DIAGRAMS = {"flowchart", "sequenceDiagram", "stateDiagram-v2"}
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")


def pages() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    return [ROOT / name for name in listed if (ROOT / name).is_file()]


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def anchors(page: Path) -> set[str]:
    """The fragments that code hosts give a page's headings."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def relative_links(page: Path) -> Iterator[tuple[str, str]]:
    for link in LINK.findall(FENCE.sub("", page.read_text())):
        if not re.match(r"[a-z]+:", link):
            target, _, fragment = link.partition("#")
            yield target, fragment


@pytest.mark.parametrize("page", pages(), ids=named)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    for target, fragment in relative_links(page):
        found = (page.parent / target).resolve() if target else page
        assert found.exists(), f"{target} does not exist"
        if fragment:
            assert fragment in anchors(found), f"{target} has no heading for #{fragment}"


def test_the_index_of_the_docs_links_to_every_page() -> None:
    linked = {(DOCS / target).resolve() for target, _ in relative_links(DOCS / "README.md")}
    decisions = {(DOCS / "decisions" / target).resolve() for target, _ in relative_links(DOCS / "decisions/README.md")}
    runbook = DOCS / "operate" / "runbook"
    symptoms = {(runbook / target).resolve() for target, _ in relative_links(runbook / "README.md")}
    missing = {page for page in pages() if DOCS in page.parents} - linked - decisions - symptoms
    assert {named(page) for page in missing} == {"docs/README.md"}


@pytest.mark.parametrize("page", [page for page in pages() if DOCS in page.parents], ids=named)
def test_a_page_has_at_most_250_lines_of_120_characters(page: Path) -> None:
    lines = page.read_text().splitlines()
    assert len(lines) <= 250
    # A row of a table is one line, however long.
    assert [line for line in lines if len(line) > 120 and not line.lstrip().startswith("|")] == []


def test_the_table_of_what_is_where_names_files_and_symbols_that_exist() -> None:
    page = (DOCS / "concepts" / "architecture.md").read_text()
    table = page.partition("\n## Where is what\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| [^|]+ \| `([\w/.]+)` \| `(\w+)`", table, re.MULTILINE)
    assert len(rows) == table.count("\n| ") - 1, "a row without a file and a symbol"
    missing = [(file, symbol) for file, symbol in rows if not re.search(rf"\b{symbol}\b", (ROOT / file).read_text())]
    assert missing == []


@pytest.mark.parametrize("page", pages(), ids=named)
def test_every_diagram_is_of_a_kind_that_code_hosts_draw(page: Path) -> None:
    for _, language, text in FENCE.findall(page.read_text()):
        if language == "mermaid":
            first, *rest = text.split("\n", 1)
            assert first.split()[0] in DIAGRAMS
            assert "".join(rest).strip(), "an empty diagram"


def test_every_setting_is_in_the_reference_with_its_default() -> None:
    rows = dict(re.findall(r"^\| `REMIT_(\w+)` \| (.+?) \|", REFERENCE, re.MULTILINE))
    assert rows.keys() == {name.upper() for name in Settings.model_fields}
    for name, field in Settings.model_fields.items():
        if field.default_factory is None:
            default = field.default
            text = str(default).lower() if isinstance(default, bool) else str(default)
            shown = "unset" if default is None else f"`{text}`"
            assert rows[name.upper()] == shown, name


def test_every_problem_is_in_the_reference_with_its_status() -> None:
    rows = re.findall(r"^\| (\d{3}) \| `(\w+)` \|", REFERENCE, re.MULTILINE)
    assert {code: int(status) for status, code in rows} == {code: meaning.status for code, meaning in PROBLEMS.items()}


def test_every_refusal_is_in_the_reference_in_its_order() -> None:
    assert tuple(re.findall(r"^\| \d{1,2} \| `(\w+)` \|", REFERENCE, re.MULTILINE)) == REFUSAL_CODES


def test_every_invariant_is_on_the_ledgers_page() -> None:
    texts = [path.read_text() for path in (ROOT / "ledger" / "postgres").rglob("*.sql")]
    checked = {name for text in texts for name in re.findall(r"SELECT '(\w+)'", text)}
    in_python = (ROOT / "ledger" / "postgres" / "proof" / "auditor.py").read_text()
    checked |= set(re.findall(r'_found\.add\(\("(\w+)"', in_python))
    page = (DOCS / "concepts" / "ledger.md").read_text().partition("## Invariants")[2]
    assert checked == set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))


@pytest.mark.parametrize("name", [*State, *SEARCH_ATTRIBUTE_TYPES])
def test_every_state_and_search_attribute_is_in_the_reference(name: str) -> None:
    assert f"\n| `{name}` |" in REFERENCE


def test_every_command_is_in_the_reference() -> None:
    assert [name for name in COMMANDS if not re.search(rf"^\| `remit {name}\b", REFERENCE, re.MULTILINE)] == []


def test_contributing_names_only_files_and_make_targets_that_exist() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text()
    named_files = set(re.findall(r"`((?:\w+/)*\w+\.(?:py|md|toml|sql)|(?:\w+/)+)`", page))
    assert named_files
    assert [name for name in named_files if not (ROOT / name).exists()] == []
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z-]+)", page)) <= targets


def test_the_excerpts_in_contributing_are_todays_code() -> None:
    excerpts = [
        text for _, language, text in FENCE.findall((ROOT / "CONTRIBUTING.md").read_text()) if language == "python"
    ]
    assert excerpts
    for excerpt in excerpts:
        path, *lines = excerpt.splitlines()
        source = {line.strip() for line in (ROOT / path.strip("# ")).read_text().splitlines()}
        assert [line for line in lines if line.strip() and line.strip() != "..." and line.strip() not in source] == []
