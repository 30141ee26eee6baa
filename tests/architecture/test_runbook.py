"""How the lines of the runbook are found."""

from tests.runbook.lines import documented, functions


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
