"""Claims about the account that runs PostgreSQL where Remit is started by root."""

import multiprocessing
import os
import pwd
import secrets
import subprocess
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from devenv.servers import os_accounts

AT_ONCE = 6
STARTS_WITHIN = 60


def _uid_behind(barrier: Barrier, answers: "SimpleQueue[int]") -> None:
    barrier.wait(STARTS_WITHIN)
    account = os_accounts.account_for(Path("/nonexistent"))
    assert account is not None
    answers.put(account.uid)


@pytest.mark.system
@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes accounts")
def test_processes_that_need_the_account_at_the_same_moment_get_the_same_one(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"remit-test-{secrets.token_hex(4)}"
    monkeypatch.setattr(os_accounts, "ACCOUNT_NAME", name)
    processes = multiprocessing.get_context("fork")
    barrier, answers = processes.Barrier(AT_ONCE), processes.SimpleQueue()
    try:
        started = [processes.Process(target=_uid_behind, args=(barrier, answers)) for _ in range(AT_ONCE)]
        for process in started:
            process.start()
        for process in started:
            process.join(STARTS_WITHIN)
        assert [process.exitcode for process in started] == [0] * AT_ONCE
        assert {answers.get() for _ in started} == {pwd.getpwnam(name).pw_uid}
    finally:
        subprocess.run(["/usr/sbin/userdel", name], check=False, capture_output=True)
