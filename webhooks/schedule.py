"""When a webhook that was not accepted is sent again. Pure: no I/O, no clock, and chance comes as an argument."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

# The pauses behind the first failure, the second, …: more than three days in all. Then the event is a dead letter.
PAUSES = (
    timedelta(seconds=5),
    timedelta(seconds=30),
    timedelta(minutes=2),
    timedelta(minutes=10),
    timedelta(minutes=30),
    timedelta(hours=1),
    timedelta(hours=2),
    timedelta(hours=4),
    timedelta(hours=8),
    timedelta(hours=12),
    timedelta(hours=12),
    timedelta(hours=16),
    timedelta(hours=17),
)

# Pauses are longer by up to this share, so that what failed together does not come back together.
JITTER_PERCENT = 20

# The longest pause that an answer may ask for.
LONGEST_RETRY_AFTER = timedelta(hours=1)

# An endpoint that fails for every account is tried with one event at a time, at these pauses.
FIRST_PROBE = timedelta(seconds=5)
LONGEST_PROBE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Pause:
    """How long an event waits behind a failure, and whether its endpoint asked for it."""

    length: timedelta
    was_asked_for: bool = False


def pause_after(failures: int, permille: int, retry_after: timedelta | None = None) -> Pause | None:
    """The pause behind this many failures of one event; None: it is tried no more.

    `permille` is a random number from 0 to 999. What the endpoint asks for may lengthen a pause, never shorten it.
    """
    if failures > len(PAUSES):
        return None
    planned = PAUSES[failures - 1] * (1000 * 100 + JITTER_PERCENT * permille) // 100_000
    if retry_after is None or retry_after <= planned:
        return Pause(planned)
    return Pause(max(planned, min(retry_after, LONGEST_RETRY_AFTER)), was_asked_for=True)


def probe_pause(failures: int) -> timedelta:
    """How long an endpoint is left alone behind so many failures in a row, whatever event they were of."""
    return min(FIRST_PROBE * (1 << min(failures, 10)), LONGEST_PROBE)


def retry_after_in(header: str | None, now: datetime) -> timedelta | None:
    """The pause that a `Retry-After` asks for, as seconds or as a date (RFC 9110 10.2.3); None: none that counts."""
    text = (header or "").strip()
    if text.isdecimal() and text.isascii():
        return min(timedelta(seconds=int(text[:9])), LONGEST_RETRY_AFTER)
    try:
        moment = parsedate_to_datetime(text)
        asked = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now
    except (ValueError, OverflowError):
        return None
    return min(asked, LONGEST_RETRY_AFTER) if asked > timedelta(0) else None
