"""Tokens name their signing key, so that keys rotate without ending a session."""

from datetime import UTC, datetime, timedelta, tzinfo

import jwt
import pytest

from api.auth import tokens
from api.auth.tokens import Tokens, key_id
from api.http.paging import Cursors
from api.http.problems import Problem
from ledger.ids import CustomerId, SessionId

OLD, NEW = "o" * 32, "n" * 32


def issued(signer: Tokens) -> str:
    return signer.issue_access(CustomerId("cus_1"), SessionId("ses_1"), datetime.now(UTC) + timedelta(minutes=1))


def test_a_token_of_a_retired_key_is_read_until_the_key_is_gone() -> None:
    before, both, after = Tokens([OLD], 60), Tokens([NEW, OLD], 60), Tokens([NEW], 60)
    token = issued(before)
    assert both.read(token).session_id == "ses_1"
    with pytest.raises(Problem, match="not_authenticated"):
        after.read(token)
    assert after.read(issued(both)).session_id == "ses_1"
    # During the roll-out: processes that know the new key behind the old one read what the others sign.
    assert Tokens([OLD, NEW], 60).read(issued(both)).session_id == "ses_1"


def test_a_token_names_its_key_without_telling_it() -> None:
    header = jwt.get_unverified_header(issued(Tokens([NEW, OLD], 60)))
    assert header["kid"] == key_id(NEW) != key_id(OLD)
    assert NEW not in str(header)


def test_a_token_signed_with_one_key_under_the_name_of_another_is_refused() -> None:
    claims = jwt.decode(issued(Tokens([OLD], 60)), options={"verify_signature": False})
    forged = jwt.encode(claims, OLD, "HS256", headers={"kid": key_id(NEW)})
    with pytest.raises(Problem, match="not_authenticated"):
        Tokens([NEW, OLD], 60).read(forged)


def test_a_cursor_of_a_retired_key_still_leads_on() -> None:
    cursor = Cursors.from_secrets(OLD).sign("a list", 4711)
    assert Cursors.from_secrets(NEW, OLD).read("a list", cursor) == ["4711"]


def test_a_token_that_was_read_before_expires_at_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = Tokens([OLD], 900, leeway=timedelta(seconds=60))
    now = datetime.now(UTC)
    token = reader.issue_access(CustomerId("cus_ada"), SessionId("ses_1"), now + timedelta(seconds=900))
    later = timedelta(0)

    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Clock":
            return cls.fromtimestamp((now + later).timestamp(), tz)

    monkeypatch.setattr(tokens, "datetime", Clock)
    for later in (timedelta(0), timedelta(seconds=958)):  # noqa: B007 - the clock reads it
        assert reader.read(token).customer_id == "cus_ada"
    later = timedelta(seconds=961)
    with pytest.raises(Problem, match="token_expired"):
        reader.read(token)


def test_a_token_of_another_secret_is_refused_again_and_again() -> None:
    token, reader = issued(Tokens([NEW], 900)), Tokens([OLD], 900)
    for _ in range(2):
        with pytest.raises(Problem, match="not_authenticated"):
            reader.read(token)
