"""Notifications by e-mail: a sink of events that mails what its customer has chosen to get so."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from events.event import Event, EventId, EventType
from events.sink import Rejected, SinkUnavailable
from ledger.ids import NotificationId
from notifications.choices.choice import Letter
from notifications.mail.mail import Mailer, MailNotSent, MailRefused
from notifications.mail.texts import notification_mail

Letters = Callable[[Sequence[NotificationId]], Awaitable[Mapping[NotificationId, Letter]]]

# What is older is in the list, and no news any more: mails may have been off for a while.
LONGEST_DELAY = timedelta(days=1)

# How many mails this process remembers to have sent.
MOST_REMEMBERED = 1_000


class EmailSink:
    """Each mail is sent at least once. Its Message-ID is that of the event, so that a repeat can be told.

    After an error the same events come again: what this process has sent already is left out, so a repeat needs a crash
    between a mail and the position.
    """

    name = "email"
    begins_at_head = True
    most_at_once = 50

    def __init__(self, mailer: Mailer, letters: Letters, web_url: str | None) -> None:
        self._mailer = mailer
        self._letters = letters
        self._web_url = web_url
        self._sent: OrderedDict[EventId, None] = OrderedDict()

    async def publish(self, events: Sequence[Event]) -> Sequence[Rejected]:
        """Send what is chosen, and return once a server has taken it. What a server will never take is rejected."""
        oldest = datetime.now(UTC) - LONGEST_DELAY
        added = [
            event
            for event in events
            if event.type is EventType.NOTIFICATION_ADDED
            and event.occurred_at > oldest
            and event.event_id not in self._sent
        ]
        if not added:
            return []
        rejected: list[Rejected] = []
        letters = await self._letters([NotificationId(event.subject) for event in added])
        for event in added:
            letter = letters.get(NotificationId(event.subject))
            if letter is None or not letter.is_wanted:
                continue
            mail = notification_mail(letter.to, letter.type, letter.body, event.event_id, self._web_url)
            try:
                await self._mailer.send(mail)
            except MailRefused as error:
                rejected.append(Rejected(event, str(error)))
                continue
            except MailNotSent as error:
                raise SinkUnavailable(str(error)) from error
            self._remember(event.event_id)
        return rejected

    def _remember(self, event_id: EventId) -> None:
        self._sent[event_id] = None
        if len(self._sent) > MOST_REMEMBERED:
            self._sent.popitem(last=False)
