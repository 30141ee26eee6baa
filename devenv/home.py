"""A stack's home: the folder with all its local state, its lock, and the record of what runs in it."""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from devenv.errors import StackError
from devenv.files import kept_secret, read_json, write_private
from devenv.processes.ports import described
from devenv.processes.supervisor import is_same


@dataclass(frozen=True)
class RunRecord:
    """A running stack, as `run.json` records it. The API process contains the worker, so `pids` names no `worker`."""

    api_url: str
    temporal_address: str
    temporal_ui_url: str | None
    database_url: str
    pids: Mapping[str, int]


class Home:
    """The folder of a stack. Its mode is 0700, so that no other user can read its secrets, logs and data.

    For root the mode is 0711: PostgreSQL then runs as another user, who has to enter the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().absolute()
        self.run_file = self.path / "run.json"
        self.children_file = self.path / "children.json"
        self.postgres = self.path / "postgres"
        self.temporal_database = self.path / "temporal.db"

    def make(self) -> None:
        """Create the folder. Raises StackError when that fails, or when the folder is not writable."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self.path.chmod(0o711 if os.geteuid() == 0 else 0o700)
            probe = self.path / f".writable.{os.getpid()}"
            probe.touch()
            probe.unlink()
        except OSError as error:
            reason = error.strerror or str(error)
            raise StackError(
                f"{self.path} cannot hold the stack's state ({reason}): set REMIT_HOME to a folder of your own."
            ) from error

    def log(self, name: str) -> Path:
        """The log file of the child with this name."""
        return self.path / "log" / f"{name}.log"

    def jwt_secret(self) -> str:
        """The key that signs this stack's access tokens. It is created once, so that tokens survive a restart."""
        return kept_secret(self.path / "jwt_secret")

    def fingerprint_key(self) -> str:
        """The key of the fingerprints of this stack's orders. Without it, no transfer in these books goes on."""
        return kept_secret(self.path / "fingerprint_key")

    def encryption_key(self) -> str:
        """The key of what is encrypted in this stack's database. Without it, nobody reads that again."""
        return kept_secret(self.path / "encryption_key")

    @contextmanager
    def held(self) -> Iterator[None]:
        """Lock the home until the block ends. Raises StackError, which names the holder, if another stack has the lock.

        The kernel releases the lock when this process ends, even if it is killed.
        """
        with (self.path / "lock").open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pid = _lock_holder(self.path)
                who = "another process" if pid is None else described(pid)
                raise StackError(
                    f"Another stack runs on {self.path}, held by {who}: stop it, or set REMIT_HOME to another folder."
                ) from None
            lock.truncate(0)
            lock.write(json.dumps({"pid": os.getpid(), "created": psutil.Process().create_time()}))
            lock.flush()
            yield

    def write_run(self, run: RunRecord) -> None:
        """Record what runs here, for other processes. The file is private: it contains the database's password."""
        write_private(self.run_file, json.dumps(asdict(run), indent=2) + "\n")


def live_run(home: Path) -> RunRecord | None:
    """The stack that runs on this home now. None without one, even if a killed stack has left its `run.json`."""
    path = Home(home).path
    found = read_json(path / "run.json")
    if found is None or _lock_holder(path) is None:
        return None
    with suppress(TypeError):
        return RunRecord(**found)
    return None


def _lock_holder(path: Path) -> int | None:
    """The pid in the lock file, if the process that wrote it still runs."""
    holder = read_json(path / "lock") or {}
    with suppress(psutil.NoSuchProcess, KeyError, TypeError):
        if is_same(psutil.Process(holder["pid"]), holder["created"]):
            return int(holder["pid"])
    return None
