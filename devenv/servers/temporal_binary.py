"""Finds the `temporal` binary: named by a setting, installed, cached, downloaded, or built from its Go module."""

# ruff: noqa: ASYNC240 - reading a local file is faster than handing it to a thread

import shutil
from collections.abc import Sequence
from pathlib import Path

from temporalio.testing import WorkflowEnvironment

from devenv.errors import StackError
from devenv.processes.process import Say
from devenv.servers.binaries import build, executable, fetched

VERSION = "1.5.1"
MODULE = f"github.com/temporalio/cli/cmd/temporal@v{VERSION}"
BUILD_SECONDS = 20 * 60


async def temporal_binary(cache: Path, say: Say, named: Path | None = None) -> Path:
    """The binary to run: `named`, else `temporal` on PATH, else the cached one, else a download, else a build.

    Downloads and builds are kept in the cache, which all homes share. Raises StackError when none of these ways works.
    """
    if named is not None:
        if not executable(named):
            raise StackError(f"REMIT_TEMPORAL_CLI names {named}, which this user cannot run: correct it, or unset it.")
        return named.absolute()
    if (installed := shutil.which("temporal")) is not None:
        return Path(installed).absolute()
    return await fetched(
        cache.expanduser().absolute() / f"temporal-{VERSION}" / "temporal",
        f"Temporal {VERSION}",
        started=_started,
        otherwise="building it from its Go module",
        make=lambda folder, log: _build(folder, log, say),
        say=say,
    )


async def _started(folder: str) -> WorkflowEnvironment:
    return await WorkflowEnvironment.start_local(dev_server_download_version=f"v{VERSION}", download_dest_dir=folder)


async def _build(folder: Path, log: Path, say: Say) -> None:
    go = shutil.which("go")
    if go is None:
        raise StackError(
            f"No Temporal server was found. It can be neither downloaded nor built here, as `go` is not installed. "
            f"Install Go 1.25 or newer or the Temporal CLI, or set REMIT_TEMPORAL_CLI to a `temporal` {VERSION} binary."
        )
    say(f"`go install` of the Temporal CLI {VERSION}: about 4 minutes on 2 cores, once per machine")
    await build(
        f"building Temporal {VERSION}",
        [go, "install", "-v", MODULE],
        folder=folder,
        log=log,
        env={"GOBIN": str(folder)},
        limit_seconds=BUILD_SECONDS,
        say=say,
        progress=_progress,
    )
    if not executable(folder / "temporal"):
        raise StackError(f"`go install` succeeded but produced no `temporal`; its log is {log}.")


def _progress(lines: Sequence[str]) -> str:
    downloaded = sum(line.startswith("go: downloading ") for line in lines)
    compiled = sum(not line.startswith("go: ") for line in lines)
    return f"{downloaded} modules downloaded, {compiled} packages compiled"
