"""The project's Python files, as the house rules look at them."""

import ast
import subprocess
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

KINDS = {
    ast.Import,
    ast.ImportFrom,
    ast.ClassDef,
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.JoinedStr,
    ast.Constant,
    ast.Name,
    ast.arg,
    ast.BinOp,
}


@dataclass(slots=True)
class Module:
    """What the rules look at in a file: what stands in its lines, and not its tree, which would be large to keep."""

    imports: list[str] = field(default_factory=list)
    classes: list[tuple[int, str]] = field(default_factory=list)
    functions: list[tuple[int, str]] = field(default_factory=list)
    # Parameters, and the variables that get a value.
    variables: list[tuple[int, str]] = field(default_factory=list)
    texts: list[tuple[int, str]] = field(default_factory=list)
    # What f-strings begin with.
    beginnings: list[tuple[int, str]] = field(default_factory=list)
    floats: list[int] = field(default_factory=list)
    divisions: list[int] = field(default_factory=list)

    def note(self, node: ast.AST) -> None:
        match node:
            case ast.Import(names=names):
                self.imports += [name.name for name in names]
            case ast.ImportFrom(module=str(module)):
                self.imports.append(module)
            case ast.ClassDef():
                self.classes.append((node.lineno, node.name))
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                self.functions.append((node.lineno, node.name))
            case ast.JoinedStr(values=[ast.Constant(value=value), *_]):
                self.beginnings.append((node.lineno, str(value)))
            case ast.Constant(value=str(text)) if " " in text:
                self.texts.append((node.lineno, text))
            case ast.Constant(value=float()) | ast.Name(id="float"):
                self.floats.append(node.lineno)
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name):
                self.variables.append((node.lineno, name))
            case ast.BinOp(op=ast.Div()):
                self.divisions.append(node.lineno)


@cache
def module(path: Path) -> Module:
    """Each file is read once for all rules."""
    found = Module()
    for node in ast.walk(ast.parse(path.read_text())):
        if type(node) in KINDS:  # of most nodes there are many
            found.note(node)
    return found


@cache
def listed() -> list[str]:
    """The project's own Python files, as git knows them."""
    return subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()


def sources(*folders: str) -> list[Path]:
    """The project's own Python files, or those of some rooms."""
    return [ROOT / name for name in listed() if not folders or name.split("/")[0] in folders]


def imports(path: Path) -> list[str]:
    return module(path).imports
