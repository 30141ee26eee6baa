"""Describes the machine, the versions and the commit of a run, without anything that identifies the owner."""

import importlib.metadata
import os
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from temporalio.api.workflowservice.v1 import GetSystemInfoRequest
from temporalio.client import Client

from bench.postgres.durability import server_settings

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("temporalio", "asyncpg", "fastapi", "uvicorn", "uvloop", "httptools", "pydantic", "dbos")


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """Seconds of all cores since the machine started. `stolen`: the host gave them to other machines."""

    all: float
    stolen: float


def cpu_times() -> CpuTimes:
    """What the kernel has counted until now."""
    times = psutil.cpu_times()
    # On Linux, the time of guests is part of `user` and `nice`.
    guests = getattr(times, "guest", 0) + getattr(times, "guest_nice", 0)
    return CpuTimes(sum(times) - guests, getattr(times, "steal", 0))


def machine(before: CpuTimes) -> dict[str, Any]:
    """CPU, cores, memory and kernel, and how much of the CPU other machines on the same host took since `before`.

    Where that is more than a few percent, no figure of the run but a ratio says anything.
    """
    now = cpu_times()
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "cpu_taken_by_other_machines_percent": round(100 * (now.stolen - before.stolen) / (now.all - before.all), 1),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "system": f"{platform.system()} {platform.release()}",
    }


async def versions(database_url: str, temporal_address: str) -> dict[str, str]:
    """The versions of Python, both servers and the packages that a transfer uses most."""
    client = await Client.connect(temporal_address)
    info = await client.workflow_service.get_system_info(GetSystemInfoRequest())
    found = {"Python": platform.python_version()} | await server_settings(database_url)
    return found | {"Temporal server": info.server_version} | _packages()


def commit() -> str:
    """The commit of the code, followed by `+` if tracked files differ from it. Empty outside of a repository."""
    try:
        head = _git("rev-parse", "--short=12", "HEAD")
        return head + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return ""


def _git(*arguments: str) -> str:
    asked = ["git", *arguments]
    return subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True, timeout=10).stdout.strip()  # noqa: S603


def _packages() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
