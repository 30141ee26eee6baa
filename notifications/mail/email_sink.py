"""Notifications by e-mail: a sink of events that mails what its customer has chosen to get so."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from time import monotonic

from events.event import Event, EventId, EventType
from events.sink import Rejected, SinkUnavailable
from ledger.ids import NotificationId
from notifications.choices.choice import Letter
from notifications.mail.mail import Mailer, MailNotSent, MailRefused, MailUnanswered
from notifications.mail.texts import notification_mail

Letters = Callable[[Sequence[NotificationId]], Awaitable[Mapping[NotificationId, Letter]]]

# What is older is in the list, and no news any more: mails may have been off for a while.
LONGEST_DELAY = timedelta(days=1)
TOO_OLD = f"older than {LONGEST_DELAY.days * 24} hours: a replay sends it"

# One mail takes so long at most, and none is begun later than that in a call: together they stay below the time that
# a sink has for one call and for one replay. What does not fit comes again, without what was sent.
MAIL_TIME = timedelta(milliseconds=3_500)
BEGIN_TIME = timedelta(seconds=1)
MAILS_AT_ONCE = 10

# A mail for which the server is there, and says nothing so many times, is no longer waited for.
MOST_UNANSWERED = 5

# How many mails this process remembers to have sent.
MOST_REMEMBERED = 1_000


class EmailSink:
    """Each mail is sent at least once. Its Message-ID is that of the event, so that a repeat can be told.

    A mail that its server refuses, for good or for now, is rejected and stops no others; only a server that is away
    stops them. After an error the same events come again: what this process has sent already is left out, so a repeat
    needs a crash between a mail and the position. `mailer` should give up on a mail after `MAIL_TIME`.
    """

    name = "email"
    begins_at_head = True
    types = (EventType.NOTIFICATION_ADDED,)
    most_at_once = 50
    # A mail is not missed for a second, and fewer looks leave more of the machine to transfers.
    pause_milliseconds = 1_000

    def __init__(self, mailer: Mailer, letters: Letters, web_url: str | None) -> None:
        self._mailer = mailer
        self._letters = letters
        self._web_url = web_url
        self._sent: OrderedDict[EventId, None] = OrderedDict()
        # Of the events that come again after an error: why each was refused, and how often nobody answered.
        self._refused: dict[EventId, str] = {}
        self._unanswered: dict[EventId, int] = {}

    async def publish(self, events: Sequence[Event]) -> Sequence[Rejected]:
        """Send what is chosen, and return once a server has taken it. What a server does not take is rejected."""
        return await self._publish(events, datetime.now(UTC) - LONGEST_DELAY)

    async def republish(self, events: Sequence[Event]) -> Sequence[Rejected]:
        """The same at the request of staff, however old the events are."""
        return await self._publish(events, None)

    async def _publish(self, events: Sequence[Event], oldest: datetime | None) -> Sequence[Rejected]:
        begin_until = _now() + BEGIN_TIME
        added = [event for event in events if event.type is EventType.NOTIFICATION_ADDED]
        waiting = [event for event in added if event.event_id not in self._sent and event.event_id not in self._refused]
        if waiting:
            letters = await self._letters([NotificationId(event.subject) for event in waiting])
            limit = asyncio.Semaphore(MAILS_AT_ONCE)
            results = await asyncio.gather(
                *(
                    self._send_one(event, letter, oldest, limit, begin_until)
                    for event in waiting
                    if (letter := letters.get(NotificationId(event.subject))) is not None and letter.is_wanted
                ),
                return_exceptions=True,
            )
            for error in results:
                if error is not None:
                    raise error
        refused = self._refused
        rejected = [Rejected(event, refused[event.event_id]) for event in added if event.event_id in refused]
        self._refused.clear()
        self._unanswered.clear()
        return rejected

    async def _send_one(
        self, event: Event, letter: Letter, oldest: datetime | None, limit: asyncio.Semaphore, begin_until: timedelta
    ) -> None:
        if oldest is not None and event.occurred_at <= oldest:
            self._refused[event.event_id] = TOO_OLD
            return
        mail = notification_mail(letter.to, letter.type, letter.body, event.event_id, self._web_url)
        async with limit:
            if _now() > begin_until:
                raise SinkUnavailable("the mail server is slow: the rest of these mails is sent by the next try")
            try:
                async with asyncio.timeout(MAIL_TIME.total_seconds()):
                    await self._mailer.send(mail)
            except MailRefused as error:
                self._refused[event.event_id] = str(error)
            except (MailUnanswered, TimeoutError) as error:
                tries = self._unanswered[event.event_id] = self._unanswered.get(event.event_id, 0) + 1
                reason = f"the mail server gave no answer in time, {tries} times: it may have sent the mail"
                if tries < MOST_UNANSWERED:
                    raise SinkUnavailable(reason) from error
                self._refused[event.event_id] = reason
            except MailNotSent as error:
                raise SinkUnavailable(str(error)) from error
            else:
                self._remember(event.event_id)

    def _remember(self, event_id: EventId) -> None:
        self._sent[event_id] = None
        if len(self._sent) > MOST_REMEMBERED:
            self._sent.popitem(last=False)


def _now() -> timedelta:
    return timedelta(seconds=monotonic())
