"""Servers that are downloaded or built once a machine: the cache they are kept in, and programs that build them."""

# ruff: noqa: ASYNC240 - a look at a local file is shorter than the way to a thread

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
    """The cached program; where there is none, a download by the SDK, and where that fails, what `make` puts there.

    `started(folder)` has the SDK download it into a folder, and starts it. `make(folder, log)` is told by `otherwise`.
    Raises StackError when there is no way to get one.
    """
    if executable(cached):
        return cached
    cache = cached.parent.parent
    async with cache_held(cache, say):
        if not executable(cached):  # its holder may just have made it
            with draft(cached.parent) as folder:
                say(f"downloading {what} (once a machine)")
                reason = await _download(started, folder, cached.name)
                if reason is not None:
                    say(f"{what} cannot be downloaded here ({reason}): {otherwise}")
                    await make(folder, cache / f"{cached.parent.name}.log")
    return cached


async def _download(started: Callable[[str], Awaitable[WorkflowEnvironment]], folder: Path, name: str) -> str | None:
    """Answers why it failed, or None."""
    try:
        async with asyncio.timeout(DOWNLOAD_SECONDS):
            server = await started(str(folder))
            await server.shutdown()
    except TimeoutError:
        return f"not within {DOWNLOAD_SECONDS:g} s"
    except RuntimeError:  # how the SDK reports whatever went wrong
        return "the SDK's download failed"
    found = [path for path in folder.iterdir() if executable(path)]
    if len(found) != 1:
        return "the SDK left no binary"
    found[0].rename(folder / name)
    return None


@asynccontextmanager
async def cache_held(cache: Path, say: Say) -> AsyncIterator[None]:
    """Hold the cache, so that two processes do not build the same thing. Waits for its holder, and says so."""
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
    """A new folder beside `target`, which becomes `target` when the block ends well and is removed when it does not.

    For the holder of the cache only: it also removes what killed predecessors left.
    """
    for stale in target.parent.glob(f"{target.name}.*/"):
        shutil.rmtree(stale, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{target.name}.", dir=target.parent))
    try:
        yield folder
        folder.chmod(0o755)
        if target.exists():  # incomplete: whoever asks for a draft has looked inside
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
    """Run a build to its end and say every few seconds how far it is (`progress` reads that from its lines).

    Raises StackError with the last lines of its log when it fails or takes longer than the limit. A cancelled build is
    stopped.
    """

    async def is_running() -> str | None:
        return None

    log.unlink(missing_ok=True)
    process = Process(
        Child(name=what, argv=argv, env=os.environ | dict(env), log=log, cwd=folder, ready=is_running, stop_seconds=3)
    )
    said = time.monotonic()
    try:
        while process.alive:
            if process.lived_seconds > limit_seconds:
                raise StackError(f"{what} took longer than {limit_seconds / 60:.0f} minutes.{process.last_lines()}")
            if time.monotonic() - said >= PROGRESS_SECONDS:
                said = time.monotonic()
                lines = log.read_text(errors="replace").splitlines()
                say(f"{what}: {process.lived_seconds:.0f} s, {progress(lines)}")
            await asyncio.sleep(0.1)
    finally:
        await process.stop()
    if process.exit_code != 0:
        raise StackError(f"{what} failed ({process.how_it_ended()}).{process.last_lines()}")


def executable(path: Path) -> bool:
    """Whether the path names a program that may be run."""
    return path.is_file() and os.access(path, os.X_OK)
