"""Every command of the pages for operators has a check, and every symptom page has its test module."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.runbook.commands import PAGES, documented, functions, normal, pages

CHECKS = Path(__file__).resolve().parents[1] / "runbook"

# Commands that only a deployment in containers can run, each with the reason.
NOT_RUN: dict[str, str] = {}


def texts() -> Iterator[str]:
    """Every string in the checks: the commands that they run are among them."""
    for path in CHECKS.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield normal(node.value)


def test_every_command_of_the_operators_pages_is_run_by_a_check() -> None:
    assert set(documented(pages())) - set(texts()) == set(NOT_RUN)


def test_every_page_of_the_runbook_has_a_module_of_checks() -> None:
    missing = [
        page.name
        for page in (PAGES / "runbook").glob("*.md")
        if page.name != "README.md" and not (CHECKS / "symptoms" / f"test_{page.stem.replace('-', '_')}.py").exists()
    ]
    assert missing == []


def test_commands_are_found_in_blocks_and_sentences_and_the_names_of_processes_are_not() -> None:
    page = """
Run `remit verify`, then `temporal schedule trigger --schedule-id recovery` or:

```sh
act() {                    # act <path>
  curl -s "$API/$1"
}
```
1. As here:

   ```sh
   temporal workflow list --query "A" \\
     --limit 5                                  # a remark
   psql "$URL" -c "SELECT 1
     FROM accounts"
   ```
"""
    assert documented(page) == [
        'temporal workflow list --query "A" --limit 5',
        'psql "$URL" -c "SELECT 1 FROM accounts"',
        "temporal schedule trigger --schedule-id recovery",
    ]
    assert (
        functions(page)
        == """act() {                    # act <path>
  curl -s "$API/$1"
}"""
    )
