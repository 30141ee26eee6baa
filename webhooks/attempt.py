"""What an attempt to deliver an event comes to. Pure: no I/O, no clock, and chance comes as an argument."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from webhooks.endpoint import DeliveryState, Tried
from webhooks.schedule import PAUSES, pause_after, retry_after_in

# The endpoint does not exist any more, and asks that nobody comes again.
GONE = 410

# So many failures that no other attempt follows.
NEVER_AGAIN = len(PAUSES)

# An endpoint that answers so asks for a pause of all its events, if it says how long.
_BUSY = frozenset({429, 503})

# Somebody in between answers so when the endpoint itself does not.
_UNANSWERED = frozenset({502, 503, 504})


@dataclass(frozen=True, slots=True)
class WebhookAnswer:
    """What came back: a status with the first bytes of its body, or the error that came instead."""

    at: datetime
    milliseconds: int
    status: int | None = None
    error: str | None = None
    response: str | None = None
    retry_after: str | None = None

    @property
    def accepted(self) -> bool:
        """Whether the endpoint has the event. No other status means so, also no redirect."""
        return self.status is not None and 200 <= self.status <= 299  # noqa: PLR2004

    @property
    def ended_at(self) -> datetime:
        """When it came."""
        return self.at + timedelta(milliseconds=self.milliseconds)


@dataclass(frozen=True, slots=True)
class DeliveryRuling:
    """What happens to the delivery: its state, and when its account's next attempt is, if it failed.

    `unanswered`: nobody was there. Once the endpoint accepts something again, the attempt need not wait its time.
    """

    state: DeliveryState
    failures: int
    next_attempt_at: datetime | None
    unanswered: bool
    tried: Tried


def rule_on(answer: WebhookAnswer, failures: int, permille: int, *, is_test: bool) -> DeliveryRuling:
    """What follows from this answer behind so many failures of the same event.

    A test is sent once. An endpoint that is gone has its events held: they wait for somebody to enable it.
    """
    now = answer.ended_at
    if answer.accepted:
        return DeliveryRuling(DeliveryState.DELIVERED, failures, None, False, Tried(now, accepted=True))
    asked = retry_after_in(answer.retry_after, now)
    rest = asked if answer.status in _BUSY else None
    unanswered = answer.status is None or answer.status in _UNANSWERED
    tried = Tried(now, accepted=False, gone=answer.status == GONE, rest=rest)
    if is_test:
        return DeliveryRuling(DeliveryState.DEAD, failures + 1, None, unanswered, tried)
    if tried.gone:
        return DeliveryRuling(DeliveryState.PENDING, failures, now, False, tried)
    pause = pause_after(failures + 1, permille, asked)
    if pause is None:
        return DeliveryRuling(DeliveryState.DEAD, failures + 1, None, unanswered, tried)
    return DeliveryRuling(
        DeliveryState.PENDING, failures + 1, now + pause.length, unanswered and not pause.was_asked_for, tried
    )


def reason_of(answer: WebhookAnswer) -> str:
    """Why it was not accepted, for the dead letter."""
    if answer.status is None:
        return answer.error or "no answer"
    return f"status {answer.status}" + (f": {answer.response}" if answer.response else "")
