"""The committed document is one that other people's tools read: a validator, and generators of clients."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
DOCUMENT = ROOT / "docs" / "openapi.json"
TOOLS = ROOT / ".venv" / "contract"

pytestmark = pytest.mark.skipif(
    not (ROOT / ".venv" / ".contract-ready").exists(), reason="`make test` installs the validator and the generators"
)

# What a developer writes against the generated types. It does not compile if a name, a header or an enum is missing.
USE = """
import type { components, operations, paths } from "./api";

type Created = operations["transfers.create"];
const key: Created["parameters"]["header"]["Idempotency-Key"] = "3f0c5a6e";
const body: Created["requestBody"]["content"]["application/json"] = {
  source_account_id: "acc_a", destination_account_id: "acc_b", amount: 125500, currency: "USD",
  metadata: { invoice: "2026-0042" },
};
const transfer = {} as Created["responses"][201]["content"]["application/json"];
const code: NonNullable<components["schemas"]["FailureOut"]>["code"] = "insufficient_funds";
const problem: components["schemas"]["ProblemDetails"]["code"] = "idempotency_key_reused";
// @ts-expect-error: not one of the codes
const wrong: components["schemas"]["ProblemDetails"]["code"] = "no_such_code";
// @ts-expect-error: a required header
const headers: Created["parameters"]["header"] = {};
const list: paths["/v1/transfers"]["get"]["responses"][200]["content"]["application/json"]["items"] = [transfer];
export { body, code, headers, key, list, problem, wrong };
"""


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
    config.write_text("post_hooks: []\n")
    client = tmp_path / "client"
    generate = TOOLS / "bin" / "openapi-python-client"
    options = ("--meta", "none", "--fail-on-warning", "--config", config, "--output-path", client)
    run(generate, "generate", "--path", DOCUMENT, *options)
    assert (client / "api" / "transfers" / "transfers_create.py").exists()
    run(TOOLS / "bin" / "python", "-m", "compileall", "-q", client)
    use = "from client.models import TransferIn; from client.api.transfers import transfers_create"
    run(TOOLS / "bin" / "python", "-c", use, PYTHONPATH=str(tmp_path))


def test_typescript_types_are_generated_and_compile_in_a_client(tmp_path: Path) -> None:
    modules = TOOLS / "npm" / "node_modules"
    # Node is in the tools' own environment where the machine has none, or one that is too old.
    path = f"{TOOLS / 'bin'}{os.pathsep}{os.environ['PATH']}"
    run(modules / ".bin" / "openapi-typescript", DOCUMENT, "--output", tmp_path / "api.ts", PATH=path)
    (tmp_path / "use.ts").write_text(USE)
    compiler = modules / ".bin" / "tsc"
    run(compiler, "--noEmit", "--strict", "--skipLibCheck", "--module", "esnext", tmp_path / "use.ts", PATH=path)


def test_the_document_is_written_by_a_command(tmp_path: Path) -> None:
    out = tmp_path / "openapi.json"
    run(sys.executable, "-m", "cli", "openapi", "--out", out)
    assert out.read_text() == DOCUMENT.read_text()
