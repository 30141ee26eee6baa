"""Mails that a route sends after its answer. Whoever waits for one that was lost asks again."""

import structlog

from notifications.mail.mail import Mail, Mailer, MailNotSent

log = structlog.get_logger()


async def send_mail(mailer: Mailer, mail: Mail) -> None:
    """Send it, and say in the log whether that worked: never to whom, and never what is in it."""
    try:
        await mailer.send(mail)
    except MailNotSent as error:
        log.warning("a mail was not sent", purpose=mail.purpose, error=str(error))
    else:
        log.info("a mail was sent", purpose=mail.purpose)
