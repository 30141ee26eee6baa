"""What `make` tells about itself, and that it asks before it deletes books."""

import re
import shutil
import subprocess
from pathlib import Path

from tests.cli.remit import ROOT


def make(folder: Path, *arguments: str, answer: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "--no-print-directory", *arguments],
        cwd=folder,
        input=answer,
        capture_output=True,
        text=True,
        check=False,
    )


def test_make_help_lists_every_target() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    listed = set(re.findall(r"^  make ([a-z-]+) +\S", make(ROOT).stdout, re.MULTILINE))
    assert listed == targets


def test_make_clean_keeps_the_books_unless_the_answer_is_yes(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    books = tmp_path / ".remit" / "postgres"
    for answer, kept in (("", True), ("y\n", True), ("yes\n", False)):
        books.mkdir(parents=True, exist_ok=True)
        done = make(tmp_path, "clean", answer=answer)
        assert "Delete the books in .remit" in done.stderr
        assert (done.returncode == 0, books.exists()) == (not kept, kept)
    assert make(tmp_path, "clean").returncode == 0, "nothing to ask about"
