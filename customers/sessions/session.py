"""Sessions of customers, and what a refresh token may still do. Pure: no I/O, no clock."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from ledger.ids import CustomerId, SessionId


@dataclass(frozen=True, slots=True)
class Session:
    """A sign-in at one client. It ends at `expires_at` at the latest, however often it was refreshed.

    `refreshes` counts its refresh tokens: the present one carries this number. `generation` is that of all sessions
    of its customer when it began: another one ends it. `second_factor`: whoever signed in showed one.
    """

    id: SessionId
    customer_id: CustomerId
    generation: int
    refreshes: int
    started_at: datetime
    refreshed_at: datetime
    expires_at: datetime
    ended_at: datetime | None
    client: str
    user_agent: str | None
    second_factor: bool


class RefreshRuling(StrEnum):
    """What a refresh token gets: the next one, the same next one again, or the end of its session."""

    NEXT = "next"
    AGAIN = "again"
    REUSED = "reused"
    OVER = "over"


def rule_on_refresh(session: Session, generation: int, number: int, now: datetime, grace: timedelta) -> RefreshRuling:
    """What the refresh token with this number gets, under the session's row lock.

    A token works once. The one just before the present one gets the present one again for a short time: its answer may
    have been lost, or two tabs have sent it at once. After that it is taken for stolen, as every older one is, and
    the session ends for whoever holds its tokens.
    """
    if session.ended_at is not None or now >= session.expires_at or session.generation != generation:
        return RefreshRuling.OVER
    if number == session.refreshes:
        return RefreshRuling.NEXT
    if number == session.refreshes - 1 and now < session.refreshed_at + grace:
        return RefreshRuling.AGAIN
    return RefreshRuling.REUSED
