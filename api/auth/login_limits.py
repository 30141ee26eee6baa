"""Limits on failed sign-ins, in memory: each process counts for itself."""

import ipaddress
import math
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from api.http.problems import Problem

WITHIN_SECONDS = 300
FAILURES_PER_EMAIL = 10
FAILURES_PER_ADDRESS = 50

# The most keys in memory. Beyond it, the least recently used one is dropped.
KEYS = 10_000


class Window:
    """At most `most` events per key within `WITHIN_SECONDS`."""

    def __init__(self, most: int, clock: Callable[[], float]) -> None:
        self._most = most
        self._clock = clock
        self._moments: OrderedDict[str, deque[float]] = OrderedDict()

    def seconds_to_wait(self, key: str) -> int:
        """Until one more event is allowed; 0: now."""
        moments = self._moments.get(key, deque())
        now = self._clock()
        while moments and moments[0] <= now - WITHIN_SECONDS:
            moments.popleft()
        return math.ceil(moments[0] + WITHIN_SECONDS - now) if len(moments) >= self._most else 0

    def note(self, key: str) -> None:
        """Count one event, now."""
        self._moments.setdefault(key, deque()).append(self._clock())
        self._moments.move_to_end(key)
        if len(self._moments) > KEYS:
            self._moments.popitem(last=False)

    def forget_one(self, key: str) -> None:
        """Remove the newest event."""
        if moments := self._moments.get(key):
            moments.pop()


class LoginLimits:
    """Failed sign-ins, by email address and by client address."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._by_email = Window(FAILURES_PER_EMAIL, clock)
        self._by_client = Window(FAILURES_PER_ADDRESS, clock)

    @contextmanager
    def sign_in(self, email: str | None, client: str) -> Iterator[None]:
        """One sign-in. Raises the problem `too_many_attempts` where the limit is reached.

        A sign-in counts from its start, so that concurrent ones cannot pass the limit, and stays counted only if it
        ends as `credentials_invalid`.
        """
        counted = [(self._by_client, _network(client))]
        if email is not None:
            counted.append((self._by_email, email))
        if wait := max(window.seconds_to_wait(key) for window, key in counted):
            raise Problem("too_many_attempts", headers={"Retry-After": str(wait)})
        for window, key in counted:
            window.note(key)
        failed = False
        try:
            yield
        except Problem as problem:
            failed = problem.code == "credentials_invalid"
            raise
        finally:
            if not failed:
                for window, key in counted:
                    window.forget_one(key)


def _network(client: str) -> str:
    """The address, or for IPv6 its /64 network: one client holds at least that many addresses."""
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return client
    if address.version == 6:  # noqa: PLR2004 - IPv6
        return str(ipaddress.ip_network((address, 64), strict=False))
    return client
