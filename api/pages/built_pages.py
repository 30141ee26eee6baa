"""The pages for people as `make web` built them: read once, so that a page and the files that it names fit together."""

import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

BUILT = Path(__file__).parents[2] / "web" / "dist"

_TYPES: Mapping[str, str] = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}

# Fonts are compressed already.
_PACKED = frozenset({".woff2"})


@dataclass(frozen=True)
class PageFile:
    """A file as it is sent. `hashed`: its name changes with its content, so that browsers need not ask again."""

    content: bytes
    media_type: str
    hashed: bool = False
    packed: bool = False

    @cached_property
    def compressed(self) -> bytes | None:
        """By gzip, or None where that saves nothing."""
        return None if self.packed else gzip.compress(self.content, mtime=0)


@dataclass(frozen=True)
class BuiltPages:
    """`index` answers for every page: its script shows the one that the address names. `files` by their paths."""

    index: PageFile
    files: Mapping[str, PageFile]

    @classmethod
    def read(cls, folder: Path = BUILT) -> Self | None:
        """All files of the folder. None: nobody has built the pages there."""
        if not (folder / "index.html").is_file():
            return None
        files = {
            path.relative_to(folder).as_posix(): PageFile(
                path.read_bytes(),
                _TYPES[path.suffix],
                hashed=path.parent.name == "assets",
                packed=path.suffix in _PACKED,
            )
            for path in sorted(folder.rglob("*"))
            if path.suffix in _TYPES
        }
        return cls(files.pop("index.html"), files)
