"""Servers that are downloaded or built once per machine: their cache, and how they are built."""

# ruff: noqa: ASYNC240 - reading a local file is faster than handing it to a thread

import asyncio
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from temporalio.testing import WorkflowEnvironment

from devenv.errors import StackError
from devenv.processes.process import Child, Process, Say

PROGRESS_SECONDS = 5.0
DOWNLOAD_SECONDS = 120.0


async def fetched(
    cached: Path,
    what: str,
    *,
    started: Callable[[str], Awaitable[WorkflowEnvironment]],
    otherwise: str,
    make: Callable[[Path, Path], Awaitable[None]],
    say: Say,
) -> Path:
    """The path of the cached program. If it is missing, the SDK downloads it; if that fails, `make` provides it.

    `started(folder)` lets the SDK download the program into a folder and start it. `otherwise` describes to the user
    what `make(folder, log)` does. Raises StackError when both ways fail.
    """
    if executable(cached):
        return cached
    cache = cached.parent.parent
    async with cache_held(cache, say):
        if not executable(cached):  # the cache's previous holder may just have made it
            with draft(cached.parent) as folder:
                say(f"downloading {what} (once per machine)")
                reason = await _download(started, folder, cached.name)
                if reason is not None:
                    say(f"{what} cannot be downloaded here ({reason}): {otherwise}")
                    await make(folder, cache / f"{cached.parent.name}.log")
    return cached


async def _download(started: Callable[[str], Awaitable[WorkflowEnvironment]], folder: Path, name: str) -> str | None:
    """Returns the reason of a failure, or None."""
    try:
        async with asyncio.timeout(DOWNLOAD_SECONDS):
            server = await started(str(folder))
            await server.shutdown()
    except TimeoutError:
        return f"not within {DOWNLOAD_SECONDS:g} s"
    except RuntimeError:  # the SDK reports every failure of a download like this
        return "the SDK's download failed"
    found = [path for path in folder.iterdir() if executable(path)]
    if len(found) != 1:
        return "the SDK left no binary"
    found[0].rename(folder / name)
    return None


@asynccontextmanager
async def cache_held(cache: Path, say: Say) -> AsyncIterator[None]:
    """Lock the cache, so that two processes do not build the same program. Reports when it has to wait."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
        lock = (cache / "lock").open("a")
    except OSError as error:
        raise StackError(
            f"{cache} cannot be written ({error.strerror}): set REMIT_CACHE to a folder of your own."
        ) from error
    with lock:
        waited = False
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not waited:
                    say(f"another process is filling {cache}: waiting for it")
                waited = True
                await asyncio.sleep(0.2)
        yield


@contextmanager
def draft(target: Path) -> Iterator[Path]:
    """A new folder beside `target`. It becomes `target` when the block succeeds, and is removed when the block fails.

    Only the holder of the cache may call this, because it also removes the folders that killed processes left.
    """
    for stale in target.parent.glob(f"{target.name}.*/"):
        shutil.rmtree(stale, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{target.name}.", dir=target.parent))
    try:
        yield folder
        folder.chmod(0o755)
        if target.exists():  # it is incomplete: callers check that before they ask for a draft
            shutil.rmtree(target)
        folder.rename(target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def build(
    what: str,
    argv: Sequence[str],
    *,
    folder: Path,
    log: Path,
    env: Mapping[str, str],
    limit_seconds: float,
    say: Say,
    progress: Callable[[Sequence[str]], str],
) -> None:
    """Run a build to its end and report every few seconds how far it is (`progress` reads that from its output).

    Raises StackError with the last lines of its log when it fails or takes longer than the limit. A cancelled build is
    stopped.
    """

    async def is_running() -> str | None:
        return None

    log.unlink(missing_ok=True)
    process = Process(
        Child(name=what, argv=argv, env=os.environ | dict(env), log=log, cwd=folder, ready=is_running, stop_seconds=3)
    )
    shown_at = time.monotonic()
    try:
        while process.alive:
            if process.lived_seconds > limit_seconds:
                raise StackError(f"{what} took longer than {limit_seconds / 60:.0f} minutes.{process.last_lines()}")
            if time.monotonic() - shown_at >= PROGRESS_SECONDS:
                shown_at = time.monotonic()
                lines = log.read_text(errors="replace").splitlines()
                say(f"{what}: {process.lived_seconds:.0f} s, {progress(lines)}")
            await asyncio.sleep(0.1)
    finally:
        await process.stop()
    if process.exit_code != 0:
        raise StackError(f"{what} failed ({process.how_it_ended()}).{process.last_lines()}")


def executable(path: Path) -> bool:
    """Whether the path names a program that this user may run."""
    return path.is_file() and os.access(path, os.X_OK)
