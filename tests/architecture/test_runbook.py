"""Each line of the runbook is run by a check, and each line that a check runs is the runbook's."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.runbook.lines import PAGE, documented, functions, normal

CHECKS = Path(__file__).resolve().parents[1] / "runbook"

# What only a deployment in containers can run, with the reason.
NOT_RUN: dict[str, str] = {}


def texts() -> Iterator[str]:
    """The literal texts of the checks; what they run is among them."""
    for path in CHECKS.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield normal(node.value)


def test_every_line_of_the_runbook_is_run_by_a_check() -> None:
    lines = set(documented(PAGE.read_text()))
    assert lines - set(texts()) == set(NOT_RUN)


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
