"""Which notifications are mailed, to whom, and what happens when a mail is not taken."""

import asyncio
import email
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.policy import default
from pathlib import Path
from typing import Any

import pytest

from customers.postgres import Customers
from database.connections import Database
from events.dead_letter import Undelivered
from events.event import Event, EventId, EventType
from events.event_record import record_of
from events.postgres.dead_letters import REPLAY_SECONDS, bury, enqueue_replays, lock_letters
from events.postgres.sequencer import number_all
from events.postgres.sink_runs import PUBLISH_SECONDS
from events.postgres.stream import EventStream
from events.sink import Publisher, SinkUnavailable
from ledger.ids import CustomerId, NotificationId
from notifications.choices.choice import ChannelChoice, Letter
from notifications.choices.postgres import ChannelChoices
from notifications.mail import email_sink
from notifications.mail.email_sink import EmailSink, Letters
from notifications.mail.folder import MailFolder
from notifications.mail.mail import Mail, MailNotSent, MailRefused
from notifications.mail.smtp import SmtpMailer
from notifications.notification import NotificationType
from notifications.postgres import write_notification
from tests.connections import Connection
from tests.events.sinks import running
from tests.mail_server import MailServer
from tests.orders import Holder, holder
from tests.waiting import until


@pytest.fixture
async def ada(customers: Customers, owner: Connection) -> Holder:
    """Somebody whose address is verified."""
    made = await holder(customers)
    await owner.execute("UPDATE customers SET email_verified_at = now() WHERE id = $1", made.id)
    return made


async def notified(database: Database, to: CustomerId, *occasions: str) -> list[Event]:
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

    @property
    def event_ids(self) -> list[str | None]:
        return [mail.event_id for mail in self.sent]

    async def send(self, mail: Mail) -> None:
        if error := self.fails_at.pop(len(self.sent), None):
            raise error
        self.sent.append(mail)


async def test_a_notification_is_mailed_with_its_events_id_and_without_a_secret(
    database: Database, ada: Holder, tmp_path: Path
) -> None:
    events = await notified(database, ada.id, "act_x/frozen")
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
    await sink.publish(await notified(database, ben.id, "dsp_x/opened"))  # nobody knows whether Ben reads this address
    await sink.publish(await notified(database, ada.id, "dsp_x/opened", "ended"))
    assert [mail.subject for mail in mailer.sent] == ["About your dispute"]
    await choices.write(ada.id, ChannelChoice(frozenset({NotificationType.TRANSFERS})))
    await sink.publish(await notified(database, ada.id, "dsp_x/ended"))
    assert [mail.subject for mail in mailer.sent] == ["About your dispute"]


async def test_a_mail_server_that_is_away_stops_the_sink_and_a_refused_mail_does_not(
    database: Database, ada: Holder
) -> None:
    mailer = Failing()
    sink = EmailSink(mailer, ChannelChoices(database).letters, None)
    events = await notified(database, ada.id, "dsp_a/opened", "dsp_b/opened", "dsp_c/opened")
    mailer.fails_at[1] = MailNotSent("notification was not sent: SMTPServerDisconnected")
    with pytest.raises(SinkUnavailable, match="SMTPServerDisconnected"):
        await sink.publish(events)
    assert len(mailer.sent) == 2
    missing = next(event for event in events if event.event_id not in mailer.event_ids)
    mailer.fails_at[2] = MailRefused("notification was not sent: SMTPRecipientsRefused 550")
    (rejected,) = await sink.publish(events)
    assert rejected.event == missing
    assert await sink.publish(events) == []
    assert len(mailer.sent) == 3


def addressed(to: Mapping[str, str]) -> Letters:
    """Letters that are wanted, to these addresses by the notifications' ids."""

    async def letters(ids: Sequence[NotificationId]) -> dict[NotificationId, Letter]:
        return {id_: Letter(id_, NotificationType.DISPUTES, "…", to[id_], True, ChannelChoice()) for id_ in ids}

    return letters


def added(number: int, age: timedelta = timedelta()) -> Event:
    """The event of a notification."""
    reader, at = CustomerId("cus_a"), datetime.now(UTC) - age
    notified: Any = (1, f"ntf_{number}", reader, None, None, (reader,), {}, None, at)
    return Event(number, EventId(f"evt_{number}"), EventType.NOTIFICATION_ADDED, *notified)


@pytest.mark.parametrize("code", [450, 452, 550])
async def test_a_full_mailbox_rejects_its_own_mail_and_stops_nobody_elses(code: int) -> None:
    server = MailServer(refuses=code)
    async with await asyncio.start_server(server.serve, "127.0.0.1", 0) as listening:
        mailer = SmtpMailer(f"smtp://127.0.0.1:{listening.sockets[0].getsockname()[1]}", "Remit <remit@example.com>")
        sink = EmailSink(mailer, addressed({"ntf_1": "ada@example.com", "ntf_2": "ben@example.com"}), None)
        (rejected,) = await sink.publish([added(1), added(2)])
    assert rejected.event.event_id == "evt_1"
    assert str(code) in rejected.reason
    assert "ada" not in rejected.reason
    assert [b"To: ben@example.com" in mail for mail in server.received] == [True]


async def test_a_mail_server_that_is_shut_down_stops_the_sink() -> None:
    server = MailServer(refuses=421)
    async with await asyncio.start_server(server.serve, "127.0.0.1", 0) as listening:
        mailer = SmtpMailer(f"smtp://127.0.0.1:{listening.sockets[0].getsockname()[1]}", "Remit <remit@example.com>")
        with pytest.raises(SinkUnavailable):
            await EmailSink(mailer, addressed({"ntf_1": "ada@example.com"}), None).publish([added(1)])


class Slow:
    """Takes its time for each mail; to one address it never comes to an end."""

    accepts = True

    def __init__(self, seconds: float) -> None:
        self.sent: list[Mail] = []
        self._seconds = seconds

    async def send(self, mail: Mail) -> None:
        await asyncio.sleep(3_600 if mail.to == "hole@example.com" else self._seconds)
        self.sent.append(mail)


async def test_a_slow_mail_server_makes_progress_with_every_call(monkeypatch: pytest.MonkeyPatch) -> None:
    longest = email_sink.BEGIN_TIME + email_sink.MAIL_TIME
    assert longest.total_seconds() < min(PUBLISH_SECONDS, REPLAY_SECONDS)
    monkeypatch.setattr(email_sink, "BEGIN_TIME", timedelta(milliseconds=250))
    mailer, events = Slow(0.3), [added(number) for number in range(25)]
    sink = EmailSink(mailer, addressed({event.subject: "ada@example.com" for event in events}), None)
    for done in (10, 20):
        with pytest.raises(SinkUnavailable, match="slow"):
            await sink.publish(events)
        assert len(mailer.sent) == done
    assert await sink.publish(events) == []
    assert {mail.event_id for mail in mailer.sent} == {event.event_id for event in events}
    assert len(mailer.sent) == 25


async def test_a_mail_that_is_never_answered_stops_the_others_only_some_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(email_sink, "MAIL_TIME", timedelta(milliseconds=20))
    mailer = Slow(0)
    sink = EmailSink(mailer, addressed({"ntf_1": "hole@example.com", "ntf_2": "ben@example.com"}), None)
    for _ in range(email_sink.MOST_UNANSWERED - 1):
        with pytest.raises(SinkUnavailable, match="no answer"):
            await sink.publish([added(1), added(2)])
    (rejected,) = await sink.publish([added(1), added(2)])
    assert (rejected.event.event_id, [mail.to for mail in mailer.sent]) == ("evt_1", ["ben@example.com"])


async def test_a_mail_that_is_no_news_any_more_is_a_dead_letter() -> None:
    mailer = Failing()
    sink = EmailSink(mailer, addressed({"ntf_1": "ada@example.com"}), None)
    (rejected,) = await sink.publish([added(1, age=timedelta(hours=25))])
    assert (rejected.event.event_id, rejected.reason, mailer.sent) == ("evt_1", email_sink.TOO_OLD, [])


async def test_a_replayed_mail_is_sent_however_old_it_is(database: Database, owner: Connection) -> None:
    mailer = Failing()
    sink = EmailSink(mailer, addressed({"ntf_1": "ada@example.com"}), None)
    old = added(1, age=timedelta(days=3))

    async def is_sent() -> bool:
        return bool(mailer.sent)

    async with database.transaction() as connection:
        await connection.execute("INSERT INTO sinks (name, kind, position) VALUES ('email', 'publisher', 0)")
        letter_id = await bury(
            connection,
            Undelivered(source="email", reason="x", body=record_of(old), event_id=old.event_id, type=old.type),
        )
        assert letter_id is not None
        await enqueue_replays(connection, await lock_letters(connection, [letter_id]))
    async with running(database, sink):
        await until(is_sent, "the mail is sent", 10)
    assert mailer.event_ids == [old.event_id]
