"""How much of each pool of connections is in use, read when a collector scrapes this process."""

from collections.abc import Callable
from contextlib import suppress

from prometheus_client import Gauge

CONNECTIONS = Gauge(
    "remit_database_connections",
    "Connections to PostgreSQL by pool: in_use and idle are open now, most is the limit",
    ["pool", "state"],
)


def show_pool(name: str, *, in_use: Callable[[], int], idle: Callable[[], int], most: int) -> None:
    """Show a pool from now on. A later pool of the same name takes its place."""
    CONNECTIONS.labels(name, "in_use").set_function(in_use)
    CONNECTIONS.labels(name, "idle").set_function(idle)
    CONNECTIONS.labels(name, "most").set(most)


def hide_pool(name: str) -> None:
    """Stop showing a pool that was closed."""
    for state in ("in_use", "idle", "most"):
        with suppress(KeyError):  # a pool of the same name was closed before
            CONNECTIONS.remove(name, state)
