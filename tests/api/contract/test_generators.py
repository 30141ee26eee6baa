"""The committed document is one that other people's tools read: a validator, and a generator of clients.

The pages in `web/` are written against the types that another generator makes of it, for TypeScript.
"""

import os
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app

ROOT = Path(__file__).resolve().parents[3]
DOCUMENT = ROOT / "docs" / "openapi.json"
TOOLS = ROOT / ".venv" / "contract"

pytestmark = pytest.mark.system


def run(*command: object, **environment: str) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=os.environ | environment,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_a_validator_accepts_the_document() -> None:
    run(TOOLS / "bin" / "openapi-spec-validator", "--schema", "3.1", DOCUMENT)


def test_a_python_client_is_generated_without_a_warning(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    # It knows no files but those of this type.
    files = [f"  {files}: application/octet-stream" for files in ("application/pdf", "application/xml", "text/csv")]
    config.write_text("\n".join(["post_hooks: []", "content_type_overrides:", *files, ""]))
    client = tmp_path / "client"
    generate = TOOLS / "bin" / "openapi-python-client"
    options = ("--meta", "none", "--fail-on-warning", "--config", config, "--output-path", client)
    run(generate, "generate", "--path", DOCUMENT, *options)
    assert (client / "api" / "transfers" / "transfers_create.py").exists()
    run(TOOLS / "bin" / "python", "-m", "compileall", "-q", client)
    use = "from client.models import TransferIn; from client.api.transfers import transfers_create"
    run(TOOLS / "bin" / "python", "-c", use, PYTHONPATH=str(tmp_path))


def test_the_document_is_written_by_a_command(tmp_path: Path) -> None:
    out = tmp_path / "openapi.json"
    assert CliRunner().invoke(app, ["openapi", "--out", str(out)]).exit_code == 0
    assert out.read_text() == DOCUMENT.read_text()
