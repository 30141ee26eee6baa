"""A mail to one person, and what sends it. Pure: no I/O."""

from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import parseaddr
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Mail:
    """Plain text to one address. `purpose` is what logs may say of it: they never hold address, subject or text.

    `event_id` is what the mail is about: it becomes the Message-ID, so that a mail that was sent twice can be told.
    """

    to: str
    subject: str
    text: str
    purpose: str
    event_id: str | None = None

    def message(self, sender: str) -> EmailMessage:
        """The mail as it is sent. A line break in a header raises `ValueError`: no text adds a header."""
        message = EmailMessage(policy=SMTP)
        message["From"] = sender
        message["To"] = self.to
        message["Subject"] = self.subject
        message["Auto-Submitted"] = "auto-generated"
        if self.event_id is not None:
            _, _, domain = parseaddr(sender)[1].rpartition("@")
            message["Message-ID"] = f"<{self.event_id}@{domain}>"
        message.set_content(self.text)
        return message


class MailNotSent(Exception):
    """Nobody has accepted the mail, or nobody knows. Sent again, it may arrive twice."""


class MailRefused(MailNotSent):
    """The server does not take this mail: it knows no such address, or its mailbox is full. Others may go."""


class MailUnanswered(MailNotSent):
    """The server was there, and did not say in time whether it takes this mail."""


class Mailer(Protocol):
    """Sends mails. `accepts` is false where no way to send is set: then `send` is not called."""

    accepts: bool

    async def send(self, mail: Mail) -> None:
        """Hand the mail over. It returns after the mail was accepted, and raises `MailNotSent` otherwise."""


class NoMailer:
    """For an installation that sends no mails."""

    accepts = False

    async def send(self, mail: Mail) -> None:
        """Nothing to hand it to."""
        raise MailNotSent(f"no way to send mails is set, so {mail.purpose} was not sent")
