"""What a process counts, read from `/metrics` of a process that has run a few transfers."""

import re

import httpx
import pytest

from devenv.processes.ports import LOCALHOST, free_port
from devenv.servers.temporal_server import TemporalServer
from tests.cli.conftest import Story
from tests.cli.remit import STARTS_WITHIN_SECONDS, ended, started
from tests.waiting import until

pytestmark = pytest.mark.system


async def test_transfers_are_counted_by_kind_state_and_failure_code(story: Story) -> None:
    async def are_counted() -> bool:
        names = [
            'remit_transfers_ended_total{failure_code="",kind="deposit",state="completed"}',
            'remit_transfers_ended_total{failure_code="",kind="transfer",state="completed"}',
            'remit_transfers_ended_total{failure_code="insufficient_funds",kind="transfer",state="failed"}',
        ]
        return [await story.metric(name) for name in names] == [1, 2, 1]

    await until(are_counted, "each end is counted once")


async def test_steps_are_timed_by_outcome(story: Story) -> None:
    done = await story.metric('remit_step_seconds_count{outcome="done",step="credit_destination"}')
    assert done == 3
    assert (await story.metric('remit_step_seconds_sum{outcome="done",step="debit_source"}') or 0) > 0
    refused = await story.metric('remit_step_seconds_count{outcome="refused",step="debit_source"}')
    assert refused in (None, 0, 1), "what is foreseen fails before the debit"
    assert (await story.metric('remit_step_seconds_count{outcome="no_answer",step="credit_destination"}') or 0) >= 1


async def test_the_use_of_each_pool_is_shown(story: Story) -> None:
    for pool in ("remit-api", "remit-worker"):
        assert await story.metric(f'remit_database_connections{{pool="{pool}",state="most"}}') == 20
        in_use = await story.metric(f'remit_database_connections{{pool="{pool}",state="in_use"}}')
        idle = await story.metric(f'remit_database_connections{{pool="{pool}",state="idle"}}')
        assert in_use is not None
        assert idle is not None
        assert 0 <= in_use + idle <= 20


async def test_open_reviews_and_disputes_are_shown_and_nothing_in_transit_has_no_amount(story: Story) -> None:
    for name in ("remit_reviews", "remit_disputes"):
        assert await story.metric(f'{name}{{condition="open"}}') == 0
        assert await story.metric(f'{name}{{condition="overdue"}}') == 0
    assert await story.metric('remit_screening_cases{condition="open"}') == 0
    for state in ("pending", "in_review"):
        assert await story.metric(f'remit_documents_undecided{{state="{state}"}}') == 0
    for trail in ("audit_records", "request_records"):
        age = await story.metric(f'remit_trail_unsealed_longest_seconds{{trail="{trail}"}}')
        assert age is not None
        assert 0 <= age < 300
    assert await story.metric('remit_events_unnumbered_longest_seconds{outbox="outbox_events"}') in (0, 1)
    scraped = (await story.http.get("/metrics")).text
    # Read at most once in ten seconds: what was held may still be in the last reading.
    assert set(re.findall(r'^remit_in_transit_amount_minor{currency="(\w+)"}', scraped, re.MULTILINE)) <= {"USD"}


async def test_a_worker_serves_its_own_metrics(database_url: str, temporal: TemporalServer) -> None:
    port = free_port()
    process = await started(
        "worker",
        REMIT_DATABASE_URL=database_url,
        REMIT_TEMPORAL_ADDRESS=temporal.address,
        REMIT_TASK_QUEUE=f"metrics-{port}",
        REMIT_METRICS_PORT=str(port),
    )
    try:
        async with httpx.AsyncClient(trust_env=False) as http:
            scraped = [""]

            async def answers() -> bool:
                try:
                    scraped[0] = (await http.get(f"http://{LOCALHOST}:{port}/metrics")).text
                except httpx.HTTPError:
                    return False
                return True

            await until(answers, "the worker serves metrics", STARTS_WITHIN_SECONDS)
    finally:
        await ended(process)
    assert 'remit_database_connections{pool="remit-worker",state="most"} 20.0' in scraped[0]
    assert "remit_step_seconds" in scraped[0]


async def test_the_api_serves_metrics_at_a_port_of_their_own_and_nowhere_else(database_url: str) -> None:
    ports = {"api": free_port(), "metrics": free_port()}
    process = await started(
        "api",
        REMIT_DATABASE_URL=database_url,
        REMIT_TEMPORAL_ADDRESS=f"{LOCALHOST}:{free_port()}",
        REMIT_JWT_SECRET="x" * 32,
        REMIT_API_PORT=str(ports["api"]),
        REMIT_METRICS_PORT=str(ports["metrics"]),
        # The tests' PostgreSQL does not wait for its disk.
        REMIT_SANDBOX_RAILS="true",
    )
    try:
        async with httpx.AsyncClient(trust_env=False) as http:

            async def status(port: int, path: str) -> int:
                try:
                    return (await http.get(f"http://{LOCALHOST}:{port}{path}")).status_code
                except httpx.HTTPError:
                    return 0

            async def both_answer() -> bool:
                return [await status(ports["api"], "/health"), await status(ports["metrics"], "/metrics")] == [200, 200]

            await until(both_answer, "the API and its metrics are served", STARTS_WITHIN_SECONDS)
            assert await status(ports["api"], "/metrics") == 404
            assert await status(ports["metrics"], "/health") == 404
    finally:
        await ended(process)
