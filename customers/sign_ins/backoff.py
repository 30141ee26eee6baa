"""How long the next sign-in has to wait after failed ones. Pure: no I/O, no clock.

Each client waits for its own failures at one account, and longer after each, so nobody can keep somebody else out from
another address. A network that fails at many accounts waits as a whole, except where it has signed in before.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

# Failures at one account from one network that cost nothing: people mistype.
FREE_FAILURES = 4
LONGEST_WAIT = timedelta(minutes=5)
# Without another failure for so long, the count begins again.
FORGOTTEN_AFTER = timedelta(hours=1)

# What one network, or one IPv6 site, may fail at all accounts together, within the time.
FAILURES_PER_NETWORK = 50
NETWORK_WINDOW = timedelta(minutes=5)

# A network that has signed in to an account within this time is known to it.
KNOWN_FOR = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Failures:
    """Failed sign-ins from one network, at one account or at all, since the first that still counts."""

    failures: int
    since: datetime
    failed_at: datetime


def account_named(typed: str) -> str:
    """What stands for an address that somebody typed, registered or not, wherever failures are kept."""
    return hashlib.sha256(typed.strip().lower().encode()).hexdigest()


def wait_after(failures: int) -> timedelta:
    """The wait that this many failures at one account cost: nothing at first, then twice as long each time."""
    if failures <= FREE_FAILURES:
        return timedelta(0)
    return min(timedelta(seconds=1 << min(failures - FREE_FAILURES - 1, 20)), LONGEST_WAIT)


def account_wait(known: Failures | None, now: datetime) -> timedelta:
    """Until the network may try this account again; zero or less: now."""
    if known is None or now >= known.failed_at + FORGOTTEN_AFTER:
        return timedelta(0)
    return known.failed_at + wait_after(known.failures) - now


def network_wait(known: Failures | None, now: datetime) -> timedelta:
    """Until the network may try an account that it has not signed in to lately; zero or less: now."""
    if known is None or known.failures < FAILURES_PER_NETWORK:
        return timedelta(0)
    return known.since + NETWORK_WINDOW - now
