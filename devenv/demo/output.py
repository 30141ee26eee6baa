"""The demo's output: to a terminal in colour, to a pipe as plain lines that are never wrapped.

A claim is printed with its check. One that does not hold is printed with the expected and the found value.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

INDENT = 3
COLUMN_GAP = 3
PICTURE_COLUMNS = 100
# A pipe has no width of its own: wide enough that nothing is wrapped.
PIPE_COLUMNS = 1000

# A transfer's states, by how they end for the one who asked.
STATE_STYLES = {
    "green": ("completed",),
    "yellow": ("failed", "compensated", "cancelled"),
    "cyan": ("initiated", "in_review", "debited"),
}


class DemoOutput:
    """The output of one demo, step by step, and whether all its claims have held so far."""

    def __init__(self, picture: Path | None = None) -> None:
        """`picture` is where to save the output up to its result, as an SVG of a terminal 100 columns wide."""
        columns = None if sys.stdout.isatty() else PIPE_COLUMNS
        drawn = picture is not None
        self._console = Console(highlight=False, record=drawn, width=PICTURE_COLUMNS if drawn else columns)
        self._picture = picture
        self._steps = 0
        self.claims = 0
        self.broken = 0
        self.stopped_early = False

    @property
    def begun(self) -> bool:
        """Whether the first step is printed."""
        return self._steps > 0

    @property
    def held(self) -> bool:
        """Whether the demo reached its end and every claim held."""
        return self.broken == 0 and not self.stopped_early

    def heading(self, heading: str, style: str = "bold") -> None:
        """A new part."""
        self._console.print()
        self.line(heading, style)

    def step(self, heading: str, *notes: str) -> None:
        """The next step: what happens in it, and why it matters."""
        self._steps += 1
        self._console.print()
        self._console.print(Text.assemble((f"{self._steps}  ", "bold cyan"), (heading, "bold")), soft_wrap=True)
        for note in notes:
            self._print_indented(Text(note, "italic"))

    def note(self, note: str) -> None:
        """A finding between two claims."""
        self._print_indented(_with_states(Text(note)))

    def line(self, line: str, style: str = "") -> None:
        """A line that may be copied, such as a link: not indented and never cut, however long it is."""
        self._console.print(Text(line, style), soft_wrap=True)

    def table(self, headings: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[str] = ()) -> None:
        """Rows under headings, if there are any; the columns that `numbers` names are aligned to the right."""
        named = [headings, *rows] if any(headings) else rows
        widths = [max(len(cell) for cell in column) for column in zip(*named, strict=True)]
        for row in named:
            cells = [
                cell.rjust(width) if heading in numbers else cell.ljust(width)
                for cell, width, heading in zip(row, widths, headings, strict=True)
            ]
            line = " " * INDENT + (" " * COLUMN_GAP).join(cells).rstrip()
            text = Text(line, "dim") if row is headings else _with_states(Text(line))
            self._console.print(text, soft_wrap=True)

    def check(self, claim: str, *, expected: object, found: object) -> None:
        """Print a claim and whether it holds: the found value equals the expected one."""
        self.claims += 1
        if found == expected:
            self._print_indented(Text.assemble(("✓ ", "bold green"), claim))
        else:
            self.broken += 1
            self._print_indented(
                Text(f"✗ {claim}: expected {_in_words(expected)}, found {_in_words(found)}", "bold red")
            )

    def stop(self, reason: str) -> None:
        """The demo cannot continue."""
        self.stopped_early = True
        self._print_indented(Text(f"✗ The demo stops here: {reason}", "bold red"))

    def result(self, seconds: float) -> None:
        """How many claims held, and the end of the picture."""
        if self.held:
            self.heading(f"All {self.claims} claims held, in {seconds:.1f} s.", "bold green")
        else:
            self.heading(f"{self.broken} of {self.claims} claims did not hold.", "bold red")
        if self._picture is not None:
            self._console.save_svg(str(self._picture), title="remit demo")

    def _print_indented(self, text: Text) -> None:
        self._console.print(Padding(text, (0, 0, 0, INDENT), expand=False))


def _in_words(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(_in_words(item) for item in value) or "nothing"
    return "nothing" if value is None else str(value)


def _with_states(text: Text) -> Text:
    for style, states in STATE_STYLES.items():
        text.highlight_regex(rf"\b({'|'.join(states)})\b", style)
    return text
