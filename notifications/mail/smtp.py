"""Mails by SMTP, with aiosmtplib."""

import asyncio
from datetime import timedelta
from urllib.parse import unquote, urlsplit

import aiosmtplib

from notifications.mail.mail import Mail, MailNotSent, MailRefused, MailUnanswered

TIME = timedelta(seconds=20)

# The server goes away, for every mail: with 421 it may answer anything (RFC 5321, section 3.8).
GOES_AWAY = 421

_DEFAULT_PORTS = {"smtp": 587, "smtps": 465}


class SmtpMailer:
    """Sends by the server of a URL: `smtps://` speaks TLS at once, `smtp://` begins it by STARTTLS.

    To another machine than this one, `smtp://` without STARTTLS is an error: mails hold codes. One connection a mail,
    which takes `time` at most, from its begin to its end.
    """

    accepts = True

    def __init__(self, url: str, sender: str, time: timedelta = TIME) -> None:
        parts = urlsplit(url)
        self._sender = sender
        self._time = time
        self._host = parts.hostname or ""
        self._port = parts.port or _DEFAULT_PORTS[parts.scheme]
        self._tls = parts.scheme == "smtps"
        self._user = unquote(parts.username) if parts.username else None
        self._password = unquote(parts.password) if parts.password else None

    async def send(self, mail: Mail) -> None:
        """Hand the mail to the server. It is accepted when this returns."""
        is_local = self._host in ("localhost", "127.0.0.1", "::1")
        failed = f"{mail.purpose} was not sent"
        try:
            # One answer has less time than the mail, so that nobody who does not even accept a connection gets it all.
            async with asyncio.timeout(self._time.total_seconds()):
                await aiosmtplib.send(
                    mail.message(self._sender),
                    hostname=self._host,
                    port=self._port,
                    username=self._user,
                    password=self._password,
                    use_tls=self._tls,
                    # None: where the server offers it.
                    start_tls=False if self._tls else None if is_local else True,
                    timeout=(self._time * 9 // 10).total_seconds(),
                )
        except (aiosmtplib.SMTPRecipientsRefused, aiosmtplib.SMTPDataError) as error:
            answers = error.recipients if isinstance(error, aiosmtplib.SMTPRecipientsRefused) else [error]
            if any(answer.code == GOES_AWAY for answer in answers):
                raise MailNotSent(f"{failed}: {type(error).__name__}") from error
            codes = ", ".join(str(answer.code) for answer in answers)
            raise MailRefused(f"{failed}: {type(error).__name__} {codes}") from error
        except (aiosmtplib.SMTPReadTimeoutError, TimeoutError) as error:
            kind = MailNotSent if isinstance(error, aiosmtplib.SMTPConnectTimeoutError) else MailUnanswered
            raise kind(f"{failed}: {type(error).__name__}") from error
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            # Answers of servers repeat addresses: the class and the code alone say enough.
            raise MailNotSent(f"{failed}: {type(error).__name__}") from error
