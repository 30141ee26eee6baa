"""Sinks of installed packages: each is offered by an entry point, and nothing here has to know of it."""

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from events.sink import Sink, kind_of

# The group under which installed packages offer sinks. Each entry point is a function without arguments, or a class,
# that returns a sink, or None where it is not configured.
ENTRY_POINTS = "remit.sinks"


@dataclass(frozen=True, slots=True)
class UnusableSink:
    """An entry point that gave no sink, and why. Money does not wait for it."""

    name: str
    reason: str


@cache
def _offered(path: tuple[str, ...]) -> list[EntryPoint]:
    """What is installed on this path, read once: each look opens a file of each package."""
    del path
    return sorted(entry_points(group=ENTRY_POINTS), key=lambda each: each.name)


def installed_sinks(taken: Iterable[str] = ()) -> tuple[list[Sink], list[UnusableSink]]:
    """The sinks that installed packages offer and that are configured, and those that cannot be used.

    `taken` are the names that are in use already: two sinks with one name would share a position.
    """
    names = set(taken)
    found: list[Sink] = []
    unusable: list[UnusableSink] = []
    for offered in _offered(tuple(sys.path)):
        try:
            sink = offered.load()()
            if sink is None:
                continue
            kind_of(sink)
            if sink.name in names:
                raise ValueError(f"another sink has the name {sink.name}")  # noqa: TRY301 - reported like its other errors
        except Exception as error:  # noqa: BLE001 - the package of others may raise anything
            unusable.append(UnusableSink(offered.name, f"{type(error).__name__}: {error}"))
        else:
            names.add(sink.name)
            found.append(sink)
    return found, unusable
