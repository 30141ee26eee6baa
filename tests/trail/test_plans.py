"""A page of the trail reads about as many rows as it shows, however long the trail is."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from database.connections import Database
from ledger.ids import CustomerId
from tests.connections import Connection
from tests.scale.explained import ExplainedDatabase
from trail.postgres.records import AuditRecords, AuditSearch
from trail.postgres.requests import RequestSearch, RequestTrail
from trail.record import RecordOutcome

PAGE = 20
RARE = """
    SELECT n, CASE WHEN n % 1000 = 0 THEN 'rare' ELSE 'common' END AS name,
        CASE WHEN n % 1000 = 0 THEN 'rare' ELSE n::text END AS one_of_many
    FROM generate_series(1, 20000) n
"""

AUDIT_SEARCHES = {
    "everything": AuditSearch(),
    "staff who may not see all": AuditSearch(hidden_from=CustomerId("cus_a"), without_sign_ins=True),
    "a page far behind": AuditSearch(before_id=10_000),
    "a rare kind": AuditSearch(kind="rare.kind"),
    "refusals": AuditSearch(outcome=RecordOutcome.REFUSED),
    "a subject": AuditSearch(subject="rare"),
    "a transfer": AuditSearch(transfer_id="rare"),
    "an actor": AuditSearch(actor_id="rare"),
    "a request": AuditSearch(request_id="rare"),
    "another month": AuditSearch(created_before=datetime.now(UTC) - timedelta(days=90)),
}
REQUEST_SEARCHES = {
    "everything": RequestSearch(),
    "a route": RequestSearch(route="rare"),
    "an actor": RequestSearch(actor_id="rare"),
    "a request": RequestSearch(request_id="rare"),
    "a transfer": RequestSearch(transfer_id="rare"),
}


@pytest.fixture
async def explained(database: Database, database_url: str, owner: Connection) -> AsyncIterator[ExplainedDatabase]:
    await owner.execute(
        "INSERT INTO audit_records (kind, outcome, subject, actor_id, transfer_id, request_id) "
        "SELECT name || '.kind', CASE name WHEN 'rare' THEN 'refused' ELSE 'done' END, one_of_many, name, "
        f"CASE WHEN n % 2 = 0 THEN one_of_many ELSE 'other' END, one_of_many FROM ({RARE}) made"
    )
    await owner.execute(
        "INSERT INTO request_records (received_at, request_id, method, route, path, status, milliseconds, actor_id, "
        "address, headers, body_bytes, caused) "
        f"SELECT now(), one_of_many, 'POST', name, name, 200, 1, name, '', '{{}}', 0, '[]' FROM ({RARE}) made"
    )
    await owner.execute("ANALYZE audit_records, request_records")
    async with ExplainedDatabase(database_url, 2) as explained:
        yield explained


async def test_a_page_of_the_trail_reads_few_rows(explained: ExplainedDatabase) -> None:
    audits, requests = AuditRecords(explained), RequestTrail(explained)
    reads: dict[str, Callable[[], Awaitable[object]]] = {
        **{f"records: {what}": partial(audits.find, wanted, PAGE) for what, wanted in AUDIT_SEARCHES.items()},
        **{f"requests: {what}": partial(requests.find, wanted, PAGE) for what, wanted in REQUEST_SEARCHES.items()},
    }
    for what, read in reads.items():
        found = await explained.explain(read, as_it_is=True, runs=1)
        rows = [
            node["Actual Rows"] * node["Actual Loops"] + node.get("Rows Removed by Filter", 0)
            for plan in found.plans
            for node in plan.nodes
            if "Scan" in node["Node Type"]
        ]
        assert max(rows) <= 200, (what, [plan.scans for plan in found.plans])
