"""Streams end with the sign-in that they were let in by, whatever happens to the task that looks."""

import asyncio
from collections.abc import Collection
from typing import cast

import asyncpg
import pytest

from api.live import admission
from api.live.admission import Admission, Admitted
from customers.api_keys.postgres import ApiKeys
from customers.sessions.postgres import Sessions
from ledger.ids import CustomerId, SessionId


class FailingOnce:
    """No session is live, and the first look fails with an error that nobody foresaw."""

    def __init__(self) -> None:
        self.looks = 0

    async def live(self, ids: Collection[SessionId]) -> set[SessionId]:
        del ids
        self.looks += 1
        if self.looks == 1:
            raise asyncpg.exceptions.InvalidCachedStatementError("cached statement plan is invalid")
        return set()


async def test_an_unforeseen_error_does_not_end_the_checks_of_sign_ins(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(admission, "CHECK_SECONDS", 0.01)
    checked = Admission(cast("Sessions", FailingOnce()), cast("ApiKeys", None))
    over = asyncio.Event()
    with checked.admit(Admitted(CustomerId("cus_a"), SessionId("ses_a"), None, None), over.set):
        checking = asyncio.create_task(checked.keep_checking())
        try:
            async with asyncio.timeout(5):
                await over.wait()
        finally:
            checking.cancel()
    said = capsys.readouterr().out
    assert said.count("sign-ins of streams are not checked for now") == 1
    assert "InvalidCachedStatementError" in said
