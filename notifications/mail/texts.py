"""What mails say. Pure: no I/O, no clock."""

from notifications.mail.mail import Mail


def password_reset_mail(to: str, code: str, web_url: str | None) -> Mail:
    """For whoever asked for another password. Behind `#`, no server and no referrer gets the code of a link."""
    how = f"Open this page:\n\n{web_url}/reset-password#code={code}" if web_url else f"The code is:\n\n{code}"
    text = (
        "Somebody, probably you, asked for another password for your account.\n\n"
        f"{how}\n\n"
        "It works once, for an hour. If you did not ask for it, ignore this mail: your password stays as it is.\n"
    )
    return Mail(to, "Set another password", text, "password-reset")
