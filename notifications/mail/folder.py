"""Mails as files, for development: nothing leaves the machine."""

import asyncio
import os
import secrets
from datetime import UTC, datetime
from pathlib import Path

from notifications.mail.mail import Mail, MailNotSent


class MailFolder:
    """Writes each mail to a file of its own, which only this user reads. The names sort by time."""

    accepts = True

    def __init__(self, folder: Path, sender: str) -> None:
        self._folder = folder
        self._sender = sender

    async def send(self, mail: Mail) -> None:
        """Write the mail, whole or not at all."""
        await asyncio.to_thread(self._write, mail)

    def _write(self, mail: Mail) -> None:
        name = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}-{mail.purpose}-{secrets.token_hex(4)}.eml"
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            begun = self._folder.joinpath(f".{name}")
            with os.fdopen(os.open(begun, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(bytes(mail.message(self._sender)))
            begun.rename(self._folder.joinpath(name))
        except OSError as error:
            raise MailNotSent(f"{mail.purpose} was not written: {error.strerror or error}") from error
