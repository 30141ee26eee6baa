"""Which notifications are mailed, to whom, and what happens when a mail is not taken."""

import email
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.policy import default
from pathlib import Path

import pytest

from customers.postgres import Customers
from database.connections import Database
from events.event import Event, EventType
from events.postgres.sequencer import number_all
from events.postgres.stream import EventStream
from events.sink import Publisher, SinkUnavailable
from ledger.ids import CustomerId
from notifications.choices.choice import ChannelChoice
from notifications.choices.postgres import ChannelChoices
from notifications.mail.email_sink import EmailSink
from notifications.mail.folder import MailFolder
from notifications.mail.mail import Mail, MailNotSent, MailRefused
from notifications.notification import NotificationType
from notifications.postgres import write_notification
from tests.connections import Connection
from tests.orders import Holder, holder


@pytest.fixture
async def ada(customers: Customers, owner: Connection) -> Holder:
    """Somebody whose address is verified."""
    made = await holder(customers)
    await owner.execute("UPDATE customers SET email_verified_at = now() WHERE id = $1", made.id)
    return made


async def told(database: Database, to: CustomerId, *occasions: str) -> list[Event]:
    """The events of new notifications."""
    assert await number_all(database)
    before = await EventStream(database).head()
    for occasion in occasions:
        async with database.transaction() as connection:
            await write_notification(connection, to, occasion, f"This is {occasion}.")
    assert await number_all(database)
    return await EventStream(database).after(before, 100)


class Failing:
    """Sends mails until it is told to fail."""

    accepts = True

    def __init__(self) -> None:
        self.sent: list[Mail] = []
        self.fails_at: dict[int, Exception] = {}

    async def send(self, mail: Mail) -> None:
        if error := self.fails_at.pop(len(self.sent), None):
            raise error
        self.sent.append(mail)


async def test_a_notification_is_mailed_with_its_events_id_and_without_a_secret(
    database: Database, ada: Holder, tmp_path: Path
) -> None:
    events = await told(database, ada.id, "act_x/frozen")
    mailer = MailFolder(tmp_path, "Remit <no-reply@bank.example>")
    sink = EmailSink(mailer, ChannelChoices(database).letters, "https://bank.example")
    assert isinstance(sink, Publisher)
    for _ in range(2):  # what this process has sent is left out
        assert await sink.publish(events) == []
    (file,) = tmp_path.iterdir()
    mail = email.message_from_bytes(file.read_bytes(), policy=default)
    assert mail["Message-ID"] == f"<{events[0].event_id}@bank.example>"
    assert mail["Subject"] == "About your account"
    assert "This is act_x/frozen." in mail.get_content()
    assert "https://bank.example/notifications" in mail.get_content()


async def test_only_chosen_types_reach_a_verified_address(
    database: Database, ada: Holder, customers: Customers
) -> None:
    ben = await holder(customers)
    mailer, choices = Failing(), ChannelChoices(database)
    sink = EmailSink(mailer, choices.letters, None)
    await sink.publish(await told(database, ben.id, "dsp_x/opened"))  # nobody knows whether Ben reads this address
    await sink.publish(await told(database, ada.id, "dsp_x/opened", "ended"))
    assert [mail.subject for mail in mailer.sent] == ["About your dispute"]
    await choices.write(ada.id, ChannelChoice(frozenset({NotificationType.TRANSFERS})))
    await sink.publish(await told(database, ada.id, "dsp_x/ended"))
    assert [mail.subject for mail in mailer.sent] == ["About your dispute"]


async def test_a_mail_server_that_is_away_stops_the_sink_and_a_refused_mail_does_not(
    database: Database, ada: Holder
) -> None:
    mailer = Failing()
    sink = EmailSink(mailer, ChannelChoices(database).letters, None)
    events = await told(database, ada.id, "dsp_a/opened", "dsp_b/opened", "dsp_c/opened")
    mailer.fails_at[1] = MailNotSent("notification was not sent: SMTPServerDisconnected")
    with pytest.raises(SinkUnavailable, match="SMTPServerDisconnected"):
        await sink.publish(events)
    mailer.fails_at[1] = MailRefused("notification was not sent: SMTPRecipientsRefused")
    (rejected,) = await sink.publish(events)
    assert rejected.event == events[1]
    assert [mail.event_id for mail in mailer.sent] == [events[0].event_id, events[2].event_id]


async def test_no_mail_tells_what_happened_days_ago(database: Database, ada: Holder) -> None:
    mailer = Failing()
    (event,) = await told(database, ada.id, "dsp_a/opened")
    old = replace(event, occurred_at=datetime.now(UTC) - timedelta(days=2))
    assert await EmailSink(mailer, ChannelChoices(database).letters, None).publish([old]) == []
    assert mailer.sent == []
    assert event.type is EventType.NOTIFICATION_ADDED
