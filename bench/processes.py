"""CPU and memory of the processes of a run, each with all its descendants."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress

import psutil

Groups = Mapping[str, Iterable[int]]
"""The roots of each group: `{"system": [4711], "postgres": [4712], …}`."""

MEGABYTE = 1_000_000
TRIES = 5


def cpu_seconds(groups: Groups) -> dict[str, float]:
    """User and system time so far. The time of a process that has ended counts in its parent."""
    return {name: _cpu_seconds_of(list(roots)) for name, roots in groups.items()}


def memory_mb(groups: Groups) -> dict[str, float]:
    """Resident memory; pages that several processes share, such as PostgreSQL's buffers, are counted once."""
    return {name: round(sum(map(_memory_bytes, _tree(roots))) / MEGABYTE, 1) for name, roots in groups.items()}


def resident_mb(pid: int) -> float:
    """The resident memory of one process. Cheap enough to read during a load."""
    return round(float(psutil.Process(pid).memory_info().rss) / MEGABYTE, 2)


def _tree(roots: Iterable[int]) -> Iterator[psutil.Process]:
    for pid in roots:
        with suppress(psutil.NoSuchProcess):
            root = psutil.Process(pid)
            yield root
            yield from root.children(recursive=True)


def _cpu_seconds_of(roots: list[int]) -> float:
    """Reads again if a process ended meanwhile: its time could be missing, or counted twice."""
    for _ in range(TRIES):
        tree = list(_tree(roots))
        total = sum(map(_cpu_seconds, tree))
        if tree == list(_tree(roots)):
            break
    return total


def _cpu_seconds(process: psutil.Process) -> float:
    with suppress(psutil.NoSuchProcess):
        return float(sum(process.cpu_times()[:4]))  # user, system, and both of its children that have ended
    return 0.0


def _memory_bytes(process: psutil.Process) -> int:
    with suppress(psutil.NoSuchProcess):
        try:
            full = process.memory_full_info()
        except psutil.AccessDenied:
            return int(process.memory_info().rss)
        return int(getattr(full, "pss", full.uss))
    return 0
