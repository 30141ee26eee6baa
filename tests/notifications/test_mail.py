"""Mails are written or sent whole; neither errors nor logs repeat what is in them."""

import asyncio
import email
from email.policy import default
from pathlib import Path

import pytest
from pydantic import ValidationError

from notifications.mail.folder import MailFolder
from notifications.mail.mail import Mail, MailNotSent, MailRefused, NoMailer
from notifications.mail.smtp import SmtpMailer
from settings import Settings
from tests.mail_server import MailServer

MAIL = Mail("ada@example.com", "Your code", "The code is\n\n  4711-ü\n.\nBye", "password_reset")
SENDER = "Remit <remit@example.com>"


async def test_a_mail_reaches_an_smtp_server_whole() -> None:
    server = MailServer()
    async with await asyncio.start_server(server.serve, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        await SmtpMailer(f"smtp://127.0.0.1:{port}", SENDER).send(MAIL)
    (raw,) = server.received
    # A line of one dot is sent as two.
    got = email.message_from_bytes(raw.removesuffix(b".\r\n").replace(b"\r\n..\r\n", b"\r\n.\r\n"), policy=default)
    assert (got["To"], got["From"], got["Subject"]) == ("ada@example.com", SENDER, "Your code")
    assert got.get_content().strip() == MAIL.text


async def test_a_mail_that_a_server_refuses_is_an_error_without_its_address() -> None:
    server = MailServer(refuses=550)
    async with await asyncio.start_server(server.serve, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        with pytest.raises(MailRefused) as refused:
            await SmtpMailer(f"smtp://127.0.0.1:{port}", SENDER).send(MAIL)
    assert "ada" not in str(refused.value)
    with pytest.raises(MailNotSent) as away:
        await SmtpMailer(f"smtp://127.0.0.1:{port}", SENDER).send(MAIL)
    assert not isinstance(away.value, MailRefused)


async def test_a_mail_in_a_folder_is_a_file_that_only_its_user_reads(tmp_path: Path) -> None:
    folder = MailFolder(tmp_path / "mail", SENDER)
    await asyncio.gather(*(folder.send(MAIL) for _ in range(3)))
    files = sorted((tmp_path / "mail").iterdir())
    assert len(files) == 3
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    got = email.message_from_bytes(files[0].read_bytes(), policy=default)
    assert got["To"] == "ada@example.com"
    assert "4711-ü" in got.get_content()
    (tmp_path / "taken").touch()
    with pytest.raises(MailNotSent):
        await MailFolder(tmp_path / "taken", SENDER).send(MAIL)


async def test_without_a_way_to_send_a_mail_is_not_sent() -> None:
    assert not NoMailer.accepts
    with pytest.raises(MailNotSent):
        await NoMailer().send(MAIL)


def test_a_line_break_in_a_subject_adds_no_header() -> None:
    with pytest.raises(ValueError, match="linefeed"):
        Mail("ada@example.com", "Hello\r\nBcc: eve@example.com", "", "x").message(SENDER)


@pytest.mark.parametrize("url", ["host:25", "http://host", "smtp://:x", "smtp://mail.example.com:x", "smtp://u:p@"])
def test_an_smtp_url_that_is_none_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ValidationError, match="must look like") as refused:
        Settings.model_validate({"smtp_url": url})
    assert url not in refused.value.errors()[0]["msg"].replace("smtp://user:password@host:587", "")
