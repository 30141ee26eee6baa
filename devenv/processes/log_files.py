"""Log files of child processes, which begin anew when they are full, while the child goes on writing."""

import gzip
import os
import shutil
from contextlib import suppress
from pathlib import Path

FULL_BYTES = 20_000_000
OLD_FILES = 9


def rotate(log: Path, full_bytes: int = FULL_BYTES) -> bool:
    """Empty the file if it is full. What it held is beside it, compressed, as the newest of a few: `….log.1.gz`.

    The child has the file open and appends to it, so its contents are moved and not the file. What the child writes
    between the end of the copy and the next system call is lost. Raises `OSError` where that cannot be done: then the
    file is as it was, or has been emptied and its contents are in `….log.rotated` until the next time.
    """
    waiting = log.with_name(f"{log.name}.rotated")
    if waiting.exists():  # an earlier run ended before it was compressed
        _compress(waiting, log)
    try:
        if log.stat().st_size < full_bytes:
            return False
    except FileNotFoundError:
        return False
    try:
        with log.open("rb") as full, _private(waiting).open("wb") as copy:
            shutil.copyfileobj(full, copy, 1 << 20)
            os.truncate(log, 0)
    except OSError:
        waiting.unlink(missing_ok=True)
        raise
    _compress(waiting, log)
    return True


def _compress(waiting: Path, log: Path) -> None:
    draft = log.with_name(f"{log.name}.draft")
    try:
        with waiting.open("rb") as plain, gzip.open(_private(draft), "wb") as packed:
            shutil.copyfileobj(plain, packed, 1 << 20)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    for number in range(OLD_FILES - 1, 0, -1):
        with suppress(FileNotFoundError):
            _old(log, number).replace(_old(log, number + 1))
    draft.replace(_old(log, 1))
    waiting.unlink()


def _old(log: Path, number: int) -> Path:
    return log.with_name(f"{log.name}.{number}.gz")


def _private(path: Path) -> Path:
    """The same path, as an empty file that only this user may read."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
    return path
