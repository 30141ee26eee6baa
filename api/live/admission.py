"""Who may hold a stream open at this process, how many, and until when.

A request is let in once. A stream lasts, so what it was let in by is looked at again all the time: all sessions and all
keys in one query each.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NoReturn

import structlog

from api.http.problems import Problem
from customers.api_keys.postgres import ApiKeys
from customers.sessions.postgres import Sessions
from ledger.ids import ApiKeyId, CustomerId, SessionId

log = structlog.get_logger()

# A stream ends at most so long after its session, with a query's time.
CHECK_SECONDS = 1.0

# Of one process: half of its connections stay for requests.
MOST_STREAMS = 1_000
MOST_OF_A_CUSTOMER = 20


@dataclass(frozen=True, slots=True)
class Admitted:
    """What somebody was let in by: a session, by an access token that ends at `valid_until`, or an API key."""

    customer_id: CustomerId
    session_id: SessionId | None
    api_key_id: ApiKeyId | None
    valid_until: datetime | None


@dataclass(frozen=True, slots=True, eq=False)
class OpenStream:
    """A stream, and what to do when whoever holds it is not signed in any more."""

    sign_in: Admitted
    on_over: Callable[[], None]


class Admission:
    """The open streams of one process."""

    def __init__(self, sessions: Sessions, api_keys: ApiKeys) -> None:
        self._sessions = sessions
        self._api_keys = api_keys
        self._open: set[OpenStream] = set()
        self._of_customer: Counter[CustomerId] = Counter()

    @property
    def streams(self) -> int:
        """How many are open."""
        return len(self._open)

    def check_room(self, sign_in: Admitted) -> None:
        """Raises the problem `too_many_streams` where whoever is signed in may open no other stream now."""
        if len(self._open) >= MOST_STREAMS or self._of_customer[sign_in.customer_id] >= MOST_OF_A_CUSTOMER:
            raise Problem("too_many_streams")

    @contextmanager
    def admit(self, sign_in: Admitted, on_over: Callable[[], None]) -> Iterator[None]:
        """Count a stream while it is open. Raises the problem `too_many_streams`."""
        self.check_room(sign_in)
        customer_id = sign_in.customer_id
        stream = OpenStream(sign_in, on_over)
        self._open.add(stream)
        self._of_customer[customer_id] += 1
        try:
            yield
        finally:
            self._open.discard(stream)
            self._of_customer[customer_id] -= 1
            if not self._of_customer[customer_id]:
                del self._of_customer[customer_id]

    async def keep_checking(self) -> NoReturn:
        """End streams whose sign-in is over, until it is cancelled. While PostgreSQL is away, nobody can end one.

        It survives every error, and logs when it stops and when it goes on.
        """
        is_failing = False
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            try:
                for stream in self._expired():
                    stream.on_over()
                for stream in await self._revoked():
                    stream.on_over()
            except Exception as error:  # noqa: BLE001 - nobody awaits this task: it would end unseen
                if not is_failing:
                    log.warning("sign-ins of streams are not checked for now", error=" ".join(f"{error!r}".split()))
                is_failing = True
                continue
            if is_failing:
                log.info("sign-ins of streams are checked again")
                is_failing = False

    def _expired(self) -> list[OpenStream]:
        now = datetime.now(UTC)
        return [each for each in self._open if each.sign_in.valid_until is not None and each.sign_in.valid_until <= now]

    async def _revoked(self) -> list[OpenStream]:
        by_session: dict[SessionId, list[OpenStream]] = {}
        by_key: dict[ApiKeyId, list[OpenStream]] = {}
        for stream in self._open:
            if stream.sign_in.session_id is not None:
                by_session.setdefault(stream.sign_in.session_id, []).append(stream)
            elif stream.sign_in.api_key_id is not None:
                by_key.setdefault(stream.sign_in.api_key_id, []).append(stream)
        lost: list[OpenStream] = []
        if by_session:
            live = await self._sessions.live(list(by_session))
            lost += [each for id_, streams in by_session.items() if id_ not in live for each in streams]
        if by_key:
            known = await self._api_keys.live(list(by_key))
            lost += [each for id_, streams in by_key.items() if id_ not in known for each in streams]
        return lost
