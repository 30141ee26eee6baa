"""What mails say. Pure: no I/O, no clock."""

from notifications.mail.mail import Mail


def address_mail(to: str, code: str, web_url: str | None) -> Mail:
    """For somebody who has registered with the address. The page of the link sends the code with their session."""
    how = f"Open this page:\n\n{web_url}/verify-email#code={code}" if web_url else f"The code is:\n\n{code}"
    text = (
        "Somebody, probably you, has registered with this address. To show that mails reach you, sign in first.\n\n"
        f"{how}\n\n"
        "It works for three days. If you did not register, ignore this mail.\n"
    )
    return Mail(to, "Verify your address", text, "address-verification")


def password_reset_mail(to: str, code: str, web_url: str | None) -> Mail:
    """For whoever asked for another password. Behind `#`, no server and no referrer gets the code of a link."""
    how = f"Open this page:\n\n{web_url}/reset-password#code={code}" if web_url else f"The code is:\n\n{code}"
    text = (
        "Somebody, probably you, asked for another password for your account.\n\n"
        f"{how}\n\n"
        "It works once, for an hour. If you did not ask for it, ignore this mail: your password stays as it is.\n"
    )
    return Mail(to, "Set another password", text, "password-reset")
