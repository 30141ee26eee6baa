"""The commands of the pages under `docs/operate/`: found there word for word, filled in, and run in a shell.

A check quotes a command exactly as a page has it and fails if no page has it. `tests/architecture/test_runbook.py` holds
the other direction: every command of the pages has a check.
"""

import asyncio
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from devenv.processes.process import Child, Process

PAGES = Path(__file__).resolve().parents[2] / "docs" / "operate"
COMMANDS = tuple("act curl docker pg_restore printf psql python remit REMIT_BUILD_ID=2 reverse temporal".split())
BLOCK = re.compile(r"^ *```sh\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"`([^`\n]+)`")
FUNCTION = re.compile(r"^(\w+)\(\) \{.*?^\}$", re.DOTALL | re.MULTILINE)
COMMENT = re.compile(r"\s+# .*$", re.MULTILINE)
OPEN = "…"
SECONDS = 60
# The time that the page gives a worker to stop.
STOP_SECONDS = 20


def normal(command: str) -> str:
    """The command on one line, without comments and with single blanks: the pages may break lines."""
    return " ".join(COMMENT.sub("", command).replace("\\\n", " ").split())


def documented(page: str) -> list[str]:
    """Every command of the page that can be run, each once, in its order.

    Inside a sentence the bare name of a process is not a command: `remit worker`.
    """
    inline = (found for found in INLINE.findall(BLOCK.sub("", page)) if len(found.split()) > 2)
    blocks = (command for block in BLOCK.findall(page) for command in _commands(FUNCTION.sub("", block)))
    lines = dict.fromkeys(map(normal, (*blocks, *inline)))
    return [line for line in lines if line.split(" ", 1)[0] in COMMANDS]


def pages() -> str:
    """Every page for operators, one after the other."""
    return "\n".join(page.read_text() for page in sorted(PAGES.rglob("*.md")))


def functions(page: str) -> str:
    """The definitions of shell functions on the page."""
    return "\n".join(found.group(0) for block in BLOCK.findall(page) for found in FUNCTION.finditer(block))


def filled(line: str, fill: Mapping[str, str | Iterable[str]]) -> str:
    """The line with its placeholders replaced; several values replace one occurrence each, in order."""
    for shown, values in fill.items():
        assert shown in line, f"nothing to fill in for {shown}: {line}"
        if isinstance(values, str):
            line = line.replace(shown, values)
        else:
            for value in values:
                line = line.replace(shown, value, 1)
    assert OPEN not in line, f"not all is filled in: {line}"
    return line


@dataclass
class Runbook:
    """The pages in somebody's terminal, with its environment."""

    environment: Mapping[str, str]
    page: str = field(default_factory=pages)

    def __post_init__(self) -> None:
        self._lines = frozenset(documented(self.page)).union(INLINE.findall(self.page))
        self._functions = functions(self.page)

    async def run(
        self, line: str, fill: Mapping[str, str | Iterable[str]] | None = None, *, exits: int = 0, **variables: str
    ) -> str:
        """Run a command of the pages and return its output.

        Fails if no page has this command, and on another exit code. `fill` maps placeholders of the page (`acc_…`, the
        key of an example) to values; `variables` are environment variables.
        """
        code, text = await self.tried(line, fill, **variables)
        assert code == exits, f"{line}\nexit code {code}:\n{text}"
        return text

    async def tried(
        self, line: str, fill: Mapping[str, str | Iterable[str]] | None = None, **variables: str
    ) -> tuple[int, str]:
        """Run a command that may fail; return its exit code and its output."""
        return await self._shell(self._command(line, fill), variables)

    async def _shell(self, command: str, variables: Mapping[str, str]) -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            "bash",
            "-c",
            f"set -o pipefail\n{self._functions}\n{command}",
            env={**self.environment, **variables},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            printed, _ = await asyncio.wait_for(process.communicate(), SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()
            raise AssertionError(f"no end within {SECONDS} s: {command}") from None
        assert process.returncode is not None
        return process.returncode, printed.decode()

    async def start(
        self,
        line: str,
        fill: Mapping[str, str | Iterable[str]] | None = None,
        *,
        log: Path,
        says: str,
        **variables: str,
    ) -> Process:
        """Start a command that stays in the foreground; return when its log, a new file, contains `says`."""
        command = self._command(line, fill)

        async def missing() -> str | None:
            return None if says in log.read_text() else f"{log} does not say: {says}"

        return await Process.start(
            Child(
                name=command,
                argv=("bash", "-c", f"exec env {command}"),
                env={**self.environment, **variables},
                log=log,
                ready=missing,
                stop_seconds=STOP_SECONDS,
            )
        )

    def _command(self, line: str, fill: Mapping[str, str | Iterable[str]] | None) -> str:
        assert normal(line) in self._lines, f"no page under docs/operate/ has this command: {line}"
        return filled(normal(line), fill or {})


def _commands(block: str) -> Iterator[str]:
    """The commands of a block: one line each, or several joined by a backslash or an open quote."""
    command = ""
    for line in block.splitlines():
        command += line.strip() if not command else f"\n{line}"
        if not command.endswith("\\") and COMMENT.sub("", command).count('"') % 2 == 0:
            yield command
            command = ""
    assert not command, f"an open quote: {command}"
