"""Claims about access tokens that need no server."""

from datetime import UTC, datetime, timedelta, tzinfo

import pytest

from api.auth import tokens
from api.auth.tokens import Tokens
from api.http.problems import Problem
from ledger.ids import CustomerId


def test_a_token_that_was_read_before_expires_at_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = Tokens("a secret of at least 32 characters", 900, leeway=timedelta(seconds=60))
    token = reader.issue(CustomerId("cus_ada"))
    now = datetime.now(UTC)
    later = timedelta(0)

    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Clock":
            return cls.fromtimestamp((now + later).timestamp(), tz)

    monkeypatch.setattr(tokens, "datetime", Clock)
    for later in (timedelta(0), timedelta(seconds=959)):  # noqa: B007 - the clock reads it
        assert reader.read(token).customer_id == "cus_ada"
    later = timedelta(seconds=961)
    with pytest.raises(Problem) as refused:
        reader.read(token)
    assert refused.value.code == "token_expired"


def test_a_token_of_another_secret_is_refused_again_and_again() -> None:
    token = Tokens("another secret of 32 characters!", 900).issue(CustomerId("cus_ada"))
    reader = Tokens("a secret of at least 32 characters", 900)
    for _ in range(2):
        with pytest.raises(Problem) as refused:
            reader.read(token)
        assert refused.value.code == "not_authenticated"
