"""What the Dockerfile promises, read from the file: nothing here needs containers."""

import json
import re
import tomllib
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
DOCKERFILE = re.sub(r"\\\n\s*", "", (PROJECT / "Dockerfile").read_text())
INSTRUCTIONS = [line for line in DOCKERFILE.splitlines() if re.match(r"[A-Z]+ ", line)]
LAST_STAGE = INSTRUCTIONS[max(place for place, line in enumerate(INSTRUCTIONS) if line.startswith("FROM ")) :]
IGNORED = (PROJECT / ".dockerignore").read_text().splitlines()


def test_every_room_that_a_process_needs_is_in_the_image() -> None:
    packaging = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["setuptools"]
    rooms = {pattern.removesuffix("*") for pattern in packaging["packages"]["find"]["include"]} - {"bench"}
    copied = {line.split()[1] for line in INSTRUCTIONS if line.startswith("COPY ")}
    assert rooms | {"migrations", "*.py"} <= copied


def test_nothing_goes_into_a_build_but_what_the_image_copies() -> None:
    assert "*" in IGNORED
    let_in = {line[1:] for line in IGNORED if line.startswith("!")}
    sources = (line.removeprefix("COPY ").removeprefix("--chmod=755 ").split()[0] for line in INSTRUCTIONS)
    copied = {source for line, source in zip(INSTRUCTIONS, sources, strict=True) if line.startswith("COPY ")}
    assert let_in == {source for source in copied if not source.startswith("--from")}


def test_dependencies_are_checked_against_their_hashes() -> None:
    (install,) = (line for line in INSTRUCTIONS if re.search(r"\bpip\b.* install ", line))
    assert "--require-hashes" in install
    assert "--only-binary :all:" in install
    (pages,) = (line for line in INSTRUCTIONS if "npm" in line)
    assert "npm ci --ignore-scripts" in pages
    lock = json.loads((PROJECT / "web" / "package-lock.json").read_text())
    packages = {name: one for name, one in lock["packages"].items() if name}
    assert [name for name, one in packages.items() if "integrity" not in one or "resolved" in one] == []


def test_the_last_stage_builds_nothing_and_runs_as_a_user_of_its_own() -> None:
    assert not [line for line in LAST_STAGE if re.search(r"apt-get|pip install|gcc|COPY (?!--from=build)", line)]
    user = next(line for line in LAST_STAGE if line.startswith("USER "))
    assert re.fullmatch(r"USER [1-9]\d{4}:[1-9]\d{4}", user)
    assert LAST_STAGE.index('ENTRYPOINT ["remit"]') > LAST_STAGE.index(user)
    assert LAST_STAGE[-1] == 'CMD ["api"]'
    assert any(line.startswith("HEALTHCHECK ") for line in LAST_STAGE)


def test_all_stages_are_of_pinned_images_and_the_last_one_is_pythons() -> None:
    images = [line.split()[1] for line in INSTRUCTIONS if line.startswith("FROM ")]
    assert len(set(images)) == 2
    assert re.fullmatch(r"node:\d+-\w+-slim", images[0])
    assert re.fullmatch(r"python:3\.\d+-slim-\w+", images[-1])
