"""PostgreSQL refuses to run as root. When root starts it, it runs under an account of its own that can reach its files.

For other users this module changes nothing.
"""

import fcntl
import os
import pwd
import shutil
import stat
import subprocess
from pathlib import Path

from devenv.errors import StackError
from devenv.processes.process import OsAccount, Say

ACCOUNT_NAME = "remit-postgres"
ACCOUNTS = Path("/etc/passwd")


def account_for(cluster: Path) -> OsAccount | None:
    """The account that runs PostgreSQL on this cluster: its owner, else `remit-postgres`, which is created if needed.

    None when this process is not root: then PostgreSQL runs as this process's user.
    """
    if os.geteuid() != 0:
        return None
    if cluster.exists() and (owner := cluster.stat()).st_uid != 0:
        return OsAccount(_name_of(owner.st_uid), owner.st_uid, owner.st_gid)
    entry = _entry() or _made_entry()
    return OsAccount(entry.pw_name, entry.pw_uid, entry.pw_gid)


def let_through(path: Path, account: OsAccount, say: Say) -> None:
    """Let the account enter (not list or read) every folder above `path`, and report which ones had to be opened.

    Only root's folders are opened, by `chmod o+x`. Raises StackError for a closed folder of another user.
    """
    for folder in reversed(path.resolve().parents):
        state = folder.stat()
        if _may(state, account, stat.S_IXOTH):
            continue
        if state.st_uid != 0:
            raise StackError(
                f"PostgreSQL does not run as root, and its user {account.name} cannot enter {folder}: "
                f"run `chmod o+x {folder}`, set REMIT_HOME to another folder, or do not run this as root."
            )
        _chmod(folder, state.st_mode | stat.S_IXOTH)
        say(f"other users may now enter {folder} (o+x): PostgreSQL runs as {account.name}")


def let_read(folder: Path, account: OsAccount) -> None:
    """Let the account read and run everything below `folder`: a umask may have closed the installed programs."""
    for path in (folder, *folder.rglob("*")):
        state = path.lstat()
        if stat.S_ISLNK(state.st_mode):
            continue
        wanted = stat.S_IROTH | (stat.S_IXOTH if stat.S_ISDIR(state.st_mode) or state.st_mode & stat.S_IXUSR else 0)
        if not _may(state, account, wanted):
            _chmod(path, state.st_mode | wanted)


def _may(state: os.stat_result, account: OsAccount, wanted: int) -> bool:
    if state.st_uid == account.uid:
        wanted <<= 6
    elif state.st_gid == account.gid:
        wanted <<= 3
    return state.st_mode & wanted == wanted


def _chmod(path: Path, mode: int) -> None:
    try:
        path.chmod(stat.S_IMODE(mode))
    except OSError as error:
        raise StackError(f"PostgreSQL's user cannot access {path}, and chmod failed: {error.strerror}.") from error


def _entry() -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(ACCOUNT_NAME)
    except KeyError:
        return None


def _made_entry() -> pwd.struct_passwd:
    # Of two that run at once, the second `useradd` gives the account of the first another uid, and exits with 0.
    with ACCOUNTS.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (entry := _entry()) is None:
            _make_account()
            entry = pwd.getpwnam(ACCOUNT_NAME)
        return entry


def _make_account() -> None:
    way_out = "run this as another user, or set REMIT_DATABASE_URL to a PostgreSQL of your own"
    useradd = shutil.which("useradd", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if useradd is None:
        raise StackError(f"PostgreSQL does not run as root, and `useradd` is missing to create its user: {way_out}.")
    command = [useradd, "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", ACCOUNT_NAME]
    made = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)  # noqa: S603 - ours
    if made.returncode not in (0, 9):  # 9: another process made it in the meantime
        reason = " ".join(made.stderr.split()) or f"exit code {made.returncode}"
        raise StackError(f"PostgreSQL does not run as root, and `useradd` failed ({reason}): {way_out}.")


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
