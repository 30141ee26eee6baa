"""What mails say. Pure: no I/O, no clock."""

from notifications.mail.mail import Mail
from notifications.notification import NotificationType


def address_mail(to: str, code: str, web_url: str | None) -> Mail:
    """For somebody who has registered with the address. The page of the link sends the code with their session."""
    how = f"Open this page:\n\n{web_url}/verify-email#code={code}" if web_url else f"The code is:\n\n{code}"
    text = (
        "Somebody, probably you, has registered with this address. To show that mails reach you, sign in first.\n\n"
        f"{how}\n\n"
        "It works for three days. If you did not register, ignore this mail.\n"
    )
    return Mail(to, "Verify your address", text, "address-verification")


_ABOUT = {
    NotificationType.TRANSFERS: "About your transfer",
    NotificationType.DISPUTES: "About your dispute",
    NotificationType.ACCOUNTS: "About your account",
    NotificationType.IDENTITY: "About your identity document",
}


def notification_mail(to: str, type_: NotificationType, body: str, event_id: str, web_url: str | None) -> Mail:
    """What stands in a customer's list as well. No link signs anybody in."""
    where = f"{web_url}/notifications" if web_url else "your list of notifications"
    text = f"{body}\n\nYou find this, and choose what comes by mail, in {where}.\n"
    return Mail(to, _ABOUT[type_], text, "notification", event_id)


def password_reset_mail(to: str, code: str, web_url: str | None) -> Mail:
    """For whoever asked for another password. Behind `#`, no server and no referrer gets the code of a link."""
    how = f"Open this page:\n\n{web_url}/reset-password#code={code}" if web_url else f"The code is:\n\n{code}"
    text = (
        "Somebody, probably you, asked for another password for your account.\n\n"
        f"{how}\n\n"
        "It works once, for an hour. If you did not ask for it, ignore this mail: your password stays as it is.\n"
    )
    return Mail(to, "Set another password", text, "password-reset")
