"""Heads of the trails outside of the database: lines for the log, and for a file of JSON lines.

Whoever can change the database can take the last seals away with their records. They cannot change what was exported.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from trail.seal import Head

FILE = "heads.jsonl"


def lines_of(heads: Sequence[Head], public_key: str) -> list[dict[str, str | int]]:
    """What is exported of each head. The public key checks its signature over its hash."""
    return [{**asdict(head), "sealed_at": head.sealed_at.isoformat(), "public_key": public_key} for head in heads]


def append_heads(lines: Sequence[dict[str, str | int]], folder: Path | None) -> None:
    """Append the lines to the file of the folder, where there is one. Raises `OSError`. Two equal lines do no harm."""
    if folder is not None and lines:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder.joinpath(FILE)).open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)


def exported_heads(folder: Path | None) -> list[Head]:
    """The heads in the file of the folder; none where there is no file. Raises `OSError` and `ValueError`."""
    if folder is None or not (folder.joinpath(FILE)).exists():
        return []
    found = []
    for line in (folder.joinpath(FILE)).read_text(encoding="utf-8").splitlines():
        kept = {name: value for name, value in json.loads(line).items() if name != "public_key"}
        found.append(Head(**(kept | {"sealed_at": datetime.fromisoformat(kept["sealed_at"])})))
    return found
