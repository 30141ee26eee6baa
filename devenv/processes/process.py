"""One child process: how it is started, when it counts as ready, and how it ends.

Nothing here restarts anything; `supervisor.py` does.
"""

# ruff: noqa: ASYNC110 - a process and its readiness can only be polled in the same way on every platform and loop

import asyncio
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from devenv.errors import StackError
from devenv.processes.log_files import rotate

POLL_SECONDS = 0.05
SHOWN_LOG_LINES = 15

PR_SET_PDEATHSIG = 1
# Loaded before any fork: between fork and exec a child must neither import nor allocate more than it has to.
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None

Say = Callable[[str], None]
Ready = Callable[[], Awaitable[str | None]]


@dataclass(frozen=True)
class OsAccount:
    """The operating system's user that a child runs as."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True, kw_only=True)
class Child:
    """Everything needed to run a program as a child process, and to run it again after it dies."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    log: Path
    cwd: Path | None = None
    ready: Ready
    """Returns None once the child serves, else what is still missing. It is called often, so it must be quick."""
    ready_seconds: float = 60
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 10
    """After this long a stop becomes a SIGKILL."""
    orphan_signal: signal.Signals = signal.SIGKILL
    """The signal that the kernel sends to the child when its supervisor is killed (Linux only)."""
    account: OsAccount | None = None
    before: Callable[[], Awaitable[None]] | None = None
    """Runs before every start, and removes what an earlier run of the child left."""


class Process:
    """A started child, in a session of its own so that Ctrl-C in the terminal does not reach it.

    Not bound to an event loop: it may be started in one and stopped in another. On Linux the kernel ends it when the
    thread that started it ends, so start it from the main thread.
    """

    def __init__(self, child: Child) -> None:
        self.child = child
        self.started_at = time.monotonic()
        self.was_ready = False
        self._popen = self._spawn()

    @classmethod
    async def start(cls, child: Child) -> "Process":
        """Start the child and wait until it is ready; a child that does not get ready is stopped again.

        Raises StackError with the last lines of its log when it dies or does not get ready within its limit.
        """
        if child.before is not None:
            await child.before()
        process = cls(child)
        try:
            await process.until_ready()
        except BaseException:
            await process.stop()
            raise
        return process

    @property
    def pid(self) -> int:
        """The child's process id, which is also the id of its process group."""
        return self._popen.pid

    @property
    def alive(self) -> bool:
        """Whether the child still runs."""
        return self._popen.poll() is None

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative: the signal that killed it."""
        return self._popen.poll()

    @property
    def lived_seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.started_at

    async def until_ready(self) -> None:
        """Return once the child is ready. Raises StackError when it dies first or the limit passes."""
        missing: str | None = "it has not answered yet"
        while self.lived_seconds < self.child.ready_seconds:
            if not self.alive:
                raise StackError(
                    f"{self.child.name} ended while it started ({self.how_it_ended()}).{self.last_lines()}"
                )
            missing = await self.child.ready()
            if missing is None and self.alive:
                self.was_ready = True
                return
            await asyncio.sleep(POLL_SECONDS)
        limit = f"{self.child.ready_seconds:g} s"
        raise StackError(f"{self.child.name} was not ready within {limit}: {missing}.{self.last_lines()}")

    async def ended(self) -> None:
        """Return once the child has died."""
        while self.alive:
            await asyncio.sleep(POLL_SECONDS)
        self._sweep()

    async def stop(self, hurry: asyncio.Event | None = None) -> None:
        """End the child: its stop signal, and SIGKILL when its limit passes or `hurry` is set."""
        if self.alive:
            self._popen.send_signal(self.child.stop_signal)
        deadline = time.monotonic() + self.child.stop_seconds
        while self.alive and time.monotonic() < deadline and not (hurry and hurry.is_set()):
            await asyncio.sleep(POLL_SECONDS)
        if self.alive:
            self.kill()
        await self.ended()

    def kill(self) -> None:
        """SIGKILL, at once; returns when the process is gone."""
        self._popen.kill()
        self._popen.wait()
        self._sweep()

    def how_it_ended(self) -> str:
        """The exit code or the name of the signal, for messages."""
        code = self._popen.poll()
        if code is None:
            return "still running"
        return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"

    def last_lines(self) -> str:
        """The last log lines of this run of the child, formatted to follow the first line of an error."""
        with suppress(OSError), self.child.log.open("rb") as log:
            # Unless it was rotated: then all of it is of this run.
            log.seek(self._log_start if log.seek(0, os.SEEK_END) >= self._log_start else 0)
            lines = log.read()[-20_000:].decode(errors="replace").splitlines()[-SHOWN_LOG_LINES:]
            if lines:
                return "".join(f"\n  | {line[:400]}" for line in lines) + f"\n  | (from {self.child.log})"
        return f" Its log {self.child.log} is empty."

    def _spawn(self) -> "subprocess.Popen[bytes]":
        child, account = self.child, self.child.account
        child.log.parent.mkdir(parents=True, exist_ok=True)
        with suppress(OSError):  # a full disk: it goes on in the file that there is
            rotate(child.log)
        with os.fdopen(os.open(child.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as log:
            log.seek(0, os.SEEK_END)
            self._log_start = log.tell()
            try:
                return subprocess.Popen(  # noqa: S603 - argv is ours
                    list(child.argv),
                    env=dict(child.env),
                    cwd=child.cwd,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    umask=0o077,
                    user=account.uid if account else None,
                    group=account.gid if account else None,
                    extra_groups=[] if account else None,
                    # Runs after the change of user, which would clear the signal again. One system call, no locks.
                    preexec_fn=_dies_with(os.getpid(), child.orphan_signal) if _libc else None,  # noqa: PLW1509
                )
            except OSError as error:
                raise StackError(f"{child.name} cannot be started: {child.argv[0]}: {error.strerror}.") from error

    def _sweep(self) -> None:
        """End what the dead child left in its process group, so that grandchildren do not outlive it."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)


def _dies_with(parent: int, orphan_signal: signal.Signals) -> Callable[[], None]:
    def before_exec() -> None:
        assert _libc is not None
        _libc.prctl(PR_SET_PDEATHSIG, int(orphan_signal))
        if os.getppid() != parent:  # died between fork and prctl
            os._exit(1)

    return before_exec


def silent(_: str) -> None:
    """A `say` for callers that want no progress lines."""


def unfailing(say: Say) -> Say:
    """The same, but a line that cannot be written is lost: the terminal may be a file on a full disk."""

    def say_or_lose(line: str) -> None:
        with suppress(OSError):
            say(line)

    return say_or_lose
