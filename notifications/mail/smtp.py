"""Mails by SMTP, with aiosmtplib."""

from urllib.parse import unquote, urlsplit

import aiosmtplib

from notifications.mail.mail import Mail, MailNotSent, MailRefused

SECONDS = 20

# Answers from here on are final (RFC 5321, section 4.2.1).
FOR_GOOD = 500

_DEFAULT_PORTS = {"smtp": 587, "smtps": 465}


class SmtpMailer:
    """Sends by the server of a URL: `smtps://` speaks TLS at once, `smtp://` begins it by STARTTLS.

    To another machine than this one, `smtp://` without STARTTLS is an error: mails hold codes. One connection a mail.
    """

    accepts = True

    def __init__(self, url: str, sender: str) -> None:
        parts = urlsplit(url)
        self._sender = sender
        self._host = parts.hostname or ""
        self._port = parts.port or _DEFAULT_PORTS[parts.scheme]
        self._tls = parts.scheme == "smtps"
        self._user = unquote(parts.username) if parts.username else None
        self._password = unquote(parts.password) if parts.password else None

    async def send(self, mail: Mail) -> None:
        """Hand the mail to the server. It is accepted when this returns."""
        is_local = self._host in ("localhost", "127.0.0.1", "::1")
        try:
            await aiosmtplib.send(
                mail.message(self._sender),
                hostname=self._host,
                port=self._port,
                username=self._user,
                password=self._password,
                use_tls=self._tls,
                # None: where the server offers it.
                start_tls=False if self._tls else None if is_local else True,
                timeout=SECONDS,
            )
        except (aiosmtplib.SMTPRecipientsRefused, aiosmtplib.SMTPDataError) as error:
            refused = error.recipients if isinstance(error, aiosmtplib.SMTPRecipientsRefused) else [error]
            kind = MailRefused if all(each.code >= FOR_GOOD for each in refused) else MailNotSent
            raise kind(f"{mail.purpose} was not sent: {type(error).__name__}") from error
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            # Answers of servers repeat addresses: the class alone says enough.
            raise MailNotSent(f"{mail.purpose} was not sent: {type(error).__name__}") from error
