"""What is kept of a request holds no secret, and what waits to be written is bounded."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from api.trail.request_queue import RequestQueue
from database.connections import Database, Unavailable
from tests.connections import Connection
from tests.trail.conftest import SIGNATURES
from trail.postgres.requests import RequestSearch, RequestTrail
from trail.postgres.seals import seal_trails
from trail.postgres.verification import verify_trails
from trail.request import REDACTED, ReceivedRequest, kept_body, kept_headers

CONTRACT = json.loads((Path(__file__).resolve().parents[2] / "docs" / "openapi.json").read_text())


def seen(**changes: Any) -> ReceivedRequest:
    found: dict[str, Any] = {
        "received_at": datetime.now(UTC),
        "request_id": "req_1",
        "method": "POST",
        "route": "/v1/transfers",
        "path": "/v1/transfers",
        "status": 201,
        "milliseconds": 5,
        "actor_id": None,
        "address": "192.0.2.7",
        "headers": [(b"Authorization", b"Bearer hidden"), (b"idempotency-key", b"k1")],
        "body": b'{"amount": 5}',
        "body_bytes": 13,
        "caused": [],
    }
    return ReceivedRequest(**(found | changes))


def bodies_sent(schema: Any, names: list[str]) -> set[str]:
    """The fields of a schema and of what it refers to."""
    if isinstance(schema, list):
        return {name for each in schema for name in bodies_sent(each, names)}
    if not isinstance(schema, dict):
        return set()
    found = set(schema.get("properties", {}))
    if "$ref" in schema and (target := schema["$ref"].rpartition("/")[2]) not in names:
        names.append(target)
        found |= bodies_sent(CONTRACT["components"]["schemas"][target], names)
    return found | {name for each in schema.values() for name in bodies_sent(each, names)}


def test_no_secret_field_of_the_contract_is_kept() -> None:
    fields = {
        name
        for path in CONTRACT["paths"].values()
        for operation in path.values()
        if "requestBody" in operation
        for name in bodies_sent(operation["requestBody"], [])
    }
    secret = set("password current_password new_password refresh_token reset_code code second_factor number".split())
    assert secret < fields, "the contract has them under other names: look for new secrets, too"
    body = json.dumps({"outer": [dict.fromkeys(fields, "hidden-hidden")]}).encode()
    kept: Any = kept_body(body, len(body))
    assert {name for name in secret if kept["outer"][0][name] != REDACTED} == set()
    assert "hidden-hidden" not in kept["outer"][0]["email"]
    assert kept["outer"][0]["currency"] == "hidden-hidden"


def test_headers_with_credentials_are_kept_by_name_only() -> None:
    sent = [(b"Authorization", b"x1"), (b"Cookie", b"x2"), (b"X-CSRF-Token", b"x3"), (b"Idempotency-Key", b"k1")]
    assert kept_headers(sent) == {
        "authorization": REDACTED,
        "cookie": REDACTED,
        "x-csrf-token": REDACTED,
        "idempotency-key": "k1",
    }


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        (b"", None),
        (b"password=x", {"body": "[not JSON]"}),
        (b"[" * 9_000, {"body": "[not JSON]"}),
        (b'{"a":' * 300 + b"1" + b"}" * 300, {"body": "[not JSON]"}),
        (b'{"amount": NaN}', {"body": "[not JSON]"}),
        (b'{"amount": 1e999}', {"body": "[not JSON]"}),
        (b'["secret"]', {"body": REDACTED}),
        (json.dumps({"note": "x" * 5_000}).encode(), {"body": "[too large]", "fields": ["note"]}),
    ],
)
def test_a_body_that_is_no_small_object_is_not_kept(body: bytes, kept: object) -> None:
    assert kept_body(body, len(body)) == kept


async def test_requests_that_do_not_fit_are_dropped_and_counted_in_the_next_record(
    database: Database, owner: Connection
) -> None:
    records = RequestTrail(database)
    queue = RequestQueue(records, most=2)
    for number in range(5):
        queue.put(seen(request_id=f"req_{number}"))
    await queue.write_all()
    queue.put(seen(request_id="req_later", body=b'{"note": "a\\u0000b\\ud800"}', body_bytes=26))
    await queue.write_all()
    found = (await records.find(RequestSearch(), 10)).items
    assert [(one.request_id, one.dropped_before) for one in found] == [("req_later", 3), ("req_1", 0), ("req_0", 0)]
    assert found[2].headers == {"authorization": REDACTED, "idempotency-key": "k1"}
    assert found[2].body == {"amount": 5}


async def test_requests_wait_while_postgresql_does_not_answer(database: Database) -> None:
    class Away(RequestTrail):
        async def write(self, seen: object) -> None:
            raise Unavailable("away")

    queue = RequestQueue(Away(database))
    queue.put(seen())
    with pytest.raises(Unavailable):
        await queue.write_all()
    queue._records = RequestTrail(database)  # noqa: SLF001 - it answers again
    await queue.write_all()
    assert len((await RequestTrail(database).find(RequestSearch(), 10)).items) == 1


async def test_a_tampered_request_record_is_named(database: Database, owner: Connection) -> None:
    queue = RequestQueue(RequestTrail(database))
    queue.put(seen())
    await queue.write_all()
    await seal_trails(database, SIGNATURES)
    assert await verify_trails(database, SIGNATURES) == []
    await owner.execute("SET session_replication_role = replica")
    await owner.execute("UPDATE request_records SET body = '{\"amount\": 6}'")
    assert [(one.invariant, one.subject) for one in await verify_trails(database, SIGNATURES)] == [
        ("trail_record_changed", "request_records 1")
    ]
