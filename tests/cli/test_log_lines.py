"""What a process writes down: one JSON object a line, with fields to search by, in files that rotate."""

import gzip
import logging
import time
from pathlib import Path
from statistics import median

import pytest
import structlog

from logs import CompressedFiles, configure_logging
from settings import Settings
from tests.api.people import PASSWORD
from tests.cli.conftest import Story
from tests.waiting import until

pytestmark = pytest.mark.system

# One request line in an eight-millisecond transfer: far below this on a quiet machine, and never milliseconds.
MOST_MICROSECONDS = 300


async def test_every_line_is_one_json_object_with_time_level_and_event(story: Story) -> None:
    lines = [*story.lines("api"), *story.lines("worker")]
    assert lines
    assert all(list(line)[:3] == ["timestamp", "level", "event"] for line in lines)
    assert not [line for line in lines if "exception" in line]


async def test_a_request_line_says_who_what_and_how_long_and_holds_no_body(story: Story) -> None:
    assert story.payer is not None
    requests = [line for line in story.lines("api") if line["event"] == "request"]
    paid = [line for line in requests if (line["method"], line["route"]) == ("POST", "/v1/transfers")]
    assert len(paid) == 3
    assert (paid[0]["status"], paid[0]["customer_id"]) == (201, story.payer.id)
    assert 0 < paid[0]["milliseconds"] < 60_000
    assert {line["route"] for line in requests} <= {
        *("/v1/auth/register", "/v1/accounts/{account_id}/deposits", "/v1/transfers", "/v1/transfers/{transfer_id}")
    }
    written = (story.folder / "api.log").read_text()
    assert story.payer.email not in written
    assert story.payer.token not in written
    assert PASSWORD not in written


async def test_a_step_without_an_answer_is_one_line_an_attempt_with_the_reason_first(story: Story) -> None:
    lines = [line for line in story.events("worker", story.stuck["id"]) if line.get("activity") == "credit_destination"]
    assert lines
    for line in lines:
        assert "LockNotAvailableError" in line["event"]
        assert "Traceback" not in line["event"]
        assert line["level"] == "warning"
        assert line["workflow_id"] == story.stuck["workflow_id"]
        assert "\n" not in line["event"]
    runs = [(line.get("local", False), line["attempt"]) for line in lines]
    assert runs == sorted(set(runs), key=lambda run: (not run[0], run[1])), "one line for each attempt, in their order"


async def test_the_lines_of_a_step_hold_the_id_of_the_request_that_started_its_transfer(story: Story) -> None:
    paid = [line for line in story.lines("api") if (line.get("route"), line.get("method")) == ("/v1/transfers", "POST")]
    started_by = paid[2]["request_id"]
    lines = [line for line in story.events("worker", story.stuck["id"]) if "activity" in line]
    assert lines
    assert {line.get("request_id") for line in lines} == {started_by}


async def test_needs_attention_and_healed_are_lines_about_the_transfer(story: Story) -> None:
    async def is_healed() -> bool:
        return any(line["event"].startswith("healed") for line in story.events("worker", story.stuck["id"]))

    await until(is_healed, "the step that needed attention has its line")
    marked = [line for line in story.events("worker", story.stuck["id"]) if "activity" not in line]
    attention, healed = marked
    assert attention["event"].startswith("needs attention: The amount is in transit")
    assert (attention["level"], attention["state"]) == ("warning", "debited")
    assert healed["event"].startswith("healed")
    assert {line["workflow_id"] for line in marked} == {story.stuck["workflow_id"]}


async def test_the_api_and_the_worker_have_files_of_their_own(story: Story) -> None:
    assert {"request", "api starts"} <= {line["event"] for line in story.lines("api")}
    assert not [line for line in story.lines("api") if "activity" in line]
    assert not [line for line in story.lines("worker") if line["event"] == "request"]


def test_a_log_file_that_is_full_is_compressed_beside_the_next_one(tmp_path: Path) -> None:
    files = CompressedFiles(tmp_path / "api.log", file_bytes=1_000)
    for number in range(60):
        files.handle(logging.makeLogRecord({"msg": f"line {number:03} {'x' * 40}"}))
    files.close()
    old = sorted(tmp_path.glob("api.log.*.gz"))
    assert len(old) > 1
    assert not [path for path in tmp_path.iterdir() if path.suffix in (".rotated", ".draft")]
    everything = [gzip.decompress(path.read_bytes()).decode() for path in reversed(old)]
    lines = "".join([*everything, (tmp_path / "api.log").read_text()]).splitlines()
    assert [line.split()[1] for line in lines] == [f"{number:03}" for number in range(60)]


@pytest.mark.usefixtures("own_logging")
def test_a_request_line_costs_microseconds(tmp_path: Path) -> None:
    configure_logging(Settings(log_format="json", log_folder=tmp_path))
    log = structlog.get_logger("api.http.middleware")
    batches = []
    for _ in range(9):
        began = time.perf_counter()
        for number in range(200):
            log.info("request", method="POST", route="/v1/transfers", status=201, milliseconds=number)
        batches.append((time.perf_counter() - began) / 200 * 1_000_000)
    print(f"a request line costs {median(batches):.0f} µs")
    assert median(batches) < MOST_MICROSECONDS
