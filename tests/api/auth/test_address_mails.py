"""The address of whoever registers is verified by a link in a mail, signed in as them."""

import email
import re
from collections.abc import AsyncIterator
from email.policy import default
from pathlib import Path

import httpx
import pytest

from database.connections import Database
from settings import Settings
from tests.api.people import Person, register, running_api
from tests.connections import Connection


@pytest.fixture
async def posting(settings: Settings, database: Database, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    changes = {"mail_folder": tmp_path, "web_url": "https://bank.example.com"}
    async with running_api(settings.model_copy(update=changes), database, worker=False) as http:
        yield http


def mails(folder: Path, to: Person) -> list[str]:
    """The texts of the mails to a person, oldest first."""
    found = [email.message_from_bytes(path.read_bytes(), policy=default) for path in sorted(folder.glob("*.eml"))]
    return [str(one.get_content()) for one in found if one["To"] == to.email]


def code_in(text: str) -> str:
    found = re.search(r"https://bank\.example\.com/verify-email#code=(\S+)", text)
    assert found, text
    return found[1]


async def is_verified(person: Person) -> bool:
    return bool((await person.get("/v1/auth/me")).json()["email_verified"])


async def test_the_link_of_the_mail_after_registration_verifies_the_address_of_that_customer_once(
    posting: httpx.AsyncClient, tmp_path: Path, owner: Connection
) -> None:
    ada, eve = await register(posting), await register(posting)
    (text,) = mails(tmp_path, ada)
    code = code_in(text)
    assert not await is_verified(ada)
    stolen = await eve.post("/v1/auth/email-verification", {"code": code})
    assert (stolen.status_code, stolen.json()["code"]) == (422, "verification_code_invalid")
    for _ in range(2):
        answer = await ada.post("/v1/auth/email-verification", {"code": code})
        assert (answer.status_code, answer.json()["email_verified"]) == (200, True)
    assert (await is_verified(ada), await is_verified(eve)) == (True, False)
    assert await owner.fetchval("SELECT count(*) FROM auth_events WHERE kind = 'email_verified'") == 1


async def test_another_mail_is_sent_once_a_minute_and_none_to_a_verified_address(
    posting: httpx.AsyncClient, tmp_path: Path
) -> None:
    ada, ben = await register(posting), await register(posting)
    for _ in range(3):
        answer = await ada.post("/v1/auth/email-verification/mail", None)
        assert answer.status_code == 202
    _, second = mails(tmp_path, ada)
    assert (await ada.post("/v1/auth/email-verification", {"code": code_in(second)})).status_code == 200
    assert (
        await ben.post("/v1/auth/email-verification", {"code": code_in(mails(tmp_path, ben)[0])})
    ).status_code == 200
    assert (await ben.post("/v1/auth/email-verification/mail", None)).status_code == 202
    assert len(mails(tmp_path, ben)) == 1
