"""Finds Temporal's time-skipping test server: cached, downloaded, or assembled from its Maven package.

Pass the path to `WorkflowEnvironment.start_time_skipping(test_server_existing_path=…)`.
"""

# ruff: noqa: ASYNC240 - reading a local file is faster than handing it to a thread

import shutil
from collections.abc import Sequence
from pathlib import Path

from temporalio.testing import WorkflowEnvironment

from devenv.errors import StackError
from devenv.processes.process import Say, silent
from devenv.servers.binaries import build, fetched

VERSION = "1.35.0"
NAME = "temporal-test-server"
BUILD_SECONDS = 10 * 60

PROJECT = f"""\
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>remit</groupId>
  <artifactId>{NAME}</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>io.temporal</groupId>
      <artifactId>{NAME}</artifactId>
      <version>{VERSION}</version>
    </dependency>
  </dependencies>
</project>
"""
COPY_GOAL = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"

# The SDK runs the script with the port as its argument and ends it by its pid: hence `exec`. Unlike Remit's other
# servers, and like the downloaded one, it listens on all addresses: it has no setting for that. It runs for one test.
SCRIPT = """\
#!/bin/sh
exec java -cp "$(dirname "$0")/lib/*" io.temporal.testserver.TestServer "$1"
"""


async def time_skipping_server(cache: Path, say: Say = silent) -> Path:
    """The path of the server. Raises StackError, which names what to install, when it cannot be obtained."""
    return await fetched(
        cache.expanduser().absolute() / f"{NAME}-{VERSION}" / NAME,
        f"Temporal's time-skipping server {VERSION}",
        started=_started,
        otherwise="taking it from Maven",
        make=lambda folder, log: _assemble(folder, log, say),
        say=say,
    )


async def _started(folder: str) -> WorkflowEnvironment:
    return await WorkflowEnvironment.start_time_skipping(
        test_server_download_version=f"v{VERSION}", download_dest_dir=folder
    )


async def _assemble(folder: Path, log: Path, say: Say) -> None:
    maven = shutil.which("mvn")
    if maven is None or shutil.which("java") is None:
        missing = " and ".join(f"`{program}`" for program in ("java", "mvn") if shutil.which(program) is None)
        raise StackError(
            f"No time-skipping server was found. It can be neither downloaded here nor taken from Maven: {missing} "
            f"cannot be found. Install Java 11 or newer and Maven."
        )
    (folder / "pom.xml").write_text(PROJECT)
    await build(
        f"fetching the time-skipping server {VERSION}",
        [maven, "--batch-mode", COPY_GOAL, "-DoutputDirectory=lib", "-DincludeScope=runtime"],
        folder=folder,
        log=log,
        env={},
        limit_seconds=BUILD_SECONDS,
        say=say,
        progress=_progress,
    )
    script = folder / NAME
    script.write_text(SCRIPT)
    script.chmod(0o755)


def _progress(lines: Sequence[str]) -> str:
    return f"{sum('Downloaded from ' in line for line in lines)} files downloaded"
